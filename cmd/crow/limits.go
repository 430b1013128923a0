package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// seederArg is the argument of crow limits that means the seeder itself: the
// flag of that name says where it is.
const seederArg = "seeder"

const limitsHelp = `Without --upload, --download or --reset it shows the limits in effect and where
each comes from: the host's own config, or an order of this command. With one of
them it orders limits. An order stands above the config and is kept over restarts
until it is reset; a host that is offline gets it when it comes back. A flag that
is left out leaves that direction as it is.

crow limits --target role=web --upload 50MiB/s
crow limits --target role=web --reset
crow limits seeder --upload 200MiB/s`

// limits is the command that shows and changes what transfers may take.
func (a *app) limits() *cli.Command {
	return &cli.Command{
		Name:        "limits",
		Usage:       "show or change how fast hosts, or the seeder, send and receive",
		ArgsUsage:   "[seeder]",
		Description: limitsHelp,
		Flags: []cli.Flag{
			targetFlag("hosts to show or change", "show all, change none"),
			&cli.StringSliceFlag{Name: "exclude", Usage: "hosts to leave out of these: `EXPR` or @FILE"},
			&cli.StringFlag{Name: "upload", Usage: "`RATE` to send at, at most, such as 50MiB/s; 0 or none is no limit"},
			&cli.StringFlag{Name: "download", Usage: "`RATE` to receive at, at most; 0 or none is no limit"},
			&cli.BoolFlag{Name: "reset", Usage: "go back to what the config says"},
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			r, err := limitsRequestOf(cmd, s)
			if err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			switch {
			case r.seeder:
				return s.limitsOfSeeder(ctx, c, r)
			case r.changes():
				return s.changeLimits(ctx, c, r)
			}
			return s.showLimits(ctx, c, r.selector)
		}),
	}
}

// limitsRequest is what the command line asks of crow limits.
type limitsRequest struct {
	seeder   bool // and no hosts
	selector release.Selector
	change   control.ChangeLimits
}

func (r limitsRequest) changes() bool {
	return r.change.Reset || r.change.Upload != nil || r.change.Download != nil
}

func limitsRequestOf(cmd *cli.Command, s *session) (r limitsRequest, err error) {
	switch {
	case strings.HasPrefix(s.seederURL, "-"): // --seeder took the next flag for its URL
		return r, &fault{kind: usage, text: fmt.Sprintf("--seeder %s: want the seeder's URL", s.seederURL), hint: "for the seeder's own limits: crow limits seeder --upload 200MiB/s"}
	case cmd.Args().Present() && cmd.Args().First() != seederArg:
		return r, &fault{kind: usage, text: fmt.Sprintf("limits: unexpected argument %q", cmd.Args().First()), hint: "crow limits --help"}
	}
	r.seeder = cmd.Args().Present()
	if r.selector, err = selectorOf(cmd); err != nil {
		return r, err
	}
	if r.change.Upload, err = rateOf(cmd, "upload"); err != nil {
		return r, err
	}
	if r.change.Download, err = rateOf(cmd, "download"); err != nil {
		return r, err
	}
	r.change.Reset = cmd.Bool("reset")
	return r, r.check()
}

// check refuses what contradicts itself, or would mean every host by mistake.
func (r limitsRequest) check() error {
	targets := len(r.selector.Targets)
	switch {
	case r.seeder && targets+len(r.selector.Excludes) > 0:
		return usagef("limits: the seeder and --target are two things: want one of them")
	case r.seeder && r.change.Download != nil:
		return usagef("--download: the seeder downloads nothing")
	case targets == 0 && len(r.selector.Excludes) > 0:
		return usagef("limits: --exclude leaves hosts out of a --target, which is missing")
	case r.change.Reset && (r.change.Upload != nil || r.change.Download != nil):
		return usagef("limits: --reset goes without --upload and --download")
	case r.changes() && !r.seeder && targets == 0:
		return &fault{kind: usage, text: "limits: --target is missing: whose limits?", hint: "--target 'name=*' is every host, and crow limits seeder the seeder"}
	}
	return nil
}

// noLimit is the word for a rate of 0, which is hard to tell from a standstill.
const noLimit = "none"

// rateOf reads a flag's rate in bytes a second; nil: it was not given.
func rateOf(cmd *cli.Command, flag string) (*int64, error) {
	if !cmd.IsSet(flag) {
		return nil, nil
	}
	value := cmd.String(flag)
	if value == noLimit {
		return new(int64), nil
	}
	rate, err := release.ParseRate(value)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w, or 0 or %s for no limit", flag, err, noLimit)
	}
	if err := release.ValidateLimit(rate); err != nil {
		return nil, usagef("--%s: %v", flag, err)
	}
	n := int64(rate)
	return &n, nil
}

func (s *session) limitsOfSeeder(ctx context.Context, c *control.Client, r limitsRequest) error {
	get := c.SeederLimits
	if r.changes() {
		get = func(ctx context.Context) (control.Limits, error) { return c.ChangeSeederLimits(ctx, r.change) }
	}
	l, err := get(ctx)
	if err != nil {
		return fmt.Errorf("limits of the seeder: %w", err)
	}
	if s.output == outputText && r.changes() {
		fmt.Fprintf(s.out, "the seeder's upload: %s\n", limitOf(&l.Upload))
		return nil
	}
	return s.writeLimits(limitsDocument(&l, nil))
}

// changeLimits orders limits for hosts. It is done when the seeder has them on
// disk: a host that is connected has them within a moment.
func (s *session) changeLimits(ctx context.Context, c *control.Client, r limitsRequest) error {
	hosts, err := c.ChangeHostLimits(ctx, control.ChangeHostLimits{Selector: r.selector, ChangeLimits: r.change})
	if err != nil {
		return fmt.Errorf("limits: %w", err)
	}
	if s.output != outputText {
		return s.writeLimits(limitsDocument(nil, hosts))
	}
	fmt.Fprintln(s.out, changeWords(r.change, hosts))
	s.note("what is in effect: crow limits")
	return nil
}

// offlineShown is how many hosts that are offline a result names.
const offlineShown = 5

// changeWords says what was ordered, and for whom it has to wait.
func changeWords(change control.ChangeLimits, hosts []control.Host) string {
	var offline []string
	for _, h := range hosts {
		if h.State != control.HostAlive {
			offline = append(offline, oneLine(h.Name))
		}
	}
	words := fmt.Sprintf("%s for %s", orderWords(change), count(len(hosts), "host"))
	if len(offline) > 0 {
		words += fmt.Sprintf(" (%d offline, applies on return: %s)", len(offline), someOf(offline, offlineShown))
	}
	return words
}

func orderWords(change control.ChangeLimits) string {
	if change.Reset {
		return "limits reset to the config"
	}
	var words []string
	if change.Upload != nil {
		words = append(words, "upload: "+rateWords(*change.Upload))
	}
	if change.Download != nil {
		words = append(words, "download: "+rateWords(*change.Download))
	}
	return strings.Join(words, ", ")
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (s *session) showLimits(ctx context.Context, c *control.Client, sel release.Selector) error {
	hosts, err := hostsOf(ctx, c, sel)
	if err != nil {
		return err
	}
	if len(sel.Targets) > 0 {
		return s.writeLimits(limitsDocument(nil, hosts))
	}
	own, err := c.SeederLimits(ctx)
	if err != nil {
		return fmt.Errorf("limits of the seeder: %w", err)
	}
	return s.writeLimits(limitsDocument(&own, hosts))
}
