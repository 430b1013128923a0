package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// rolloutHelp is what push, deploy and rollback say of their common flags.
const rolloutHelp = `With --wave all hosts fetch first; then each wave goes live when the one before has
ended, and --wave-pause after it. Each wave counts the hosts of those before it:
1,10%,100% is one host, then a tenth of all, then the rest. Failures over
--max-failures, with waves by default any, stop the deploy: it pauses (exit 3) until
somebody says crow resume, retry, abort or rollback. With --on-failure rollback the
hosts that went live go back by themselves, to the release before. Hosts go back only by
a statement that those have signed whom they trust, so the keys at hand must be as many
as the hosts' threshold.`

// rolloutFlags say how a deploy goes live, and what else is asked of it.
func rolloutFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "wave", Usage: "`SHARES` of the hosts that are live at the end of each wave, such as 1,10%,100% (default: one wave)"},
		&cli.DurationFlag{Name: "wave-pause", Usage: "how long to wait from a wave's end to the next (default: not at all)", HideDefault: true},
		&cli.IntFlag{Name: "hosts-at-once", Usage: "`N` hosts at most go live at the same time (default: all of a wave)", HideDefault: true},
		&cli.StringFlag{Name: "max-failures", Usage: "`N|P%` of the hosts that may fail before the deploy stops (default: none with --wave, --hosts-at-once or --on-failure; else nothing stops it)"},
		&cli.StringFlag{Name: "on-failure", Usage: "`HOW` the deploy stops: pause, or rollback to the release before, by a statement that --sign-key signs, of as many keys as hosts want (default: pause)"},
		&cli.BoolFlag{Name: "fetch-only", Usage: "end when all hosts have the release staged; nobody goes live"},
		&cli.StringFlag{Name: "idempotency-key", Usage: "`KEY` of your own for this deploy: with one that the app had before, that deploy is meant and no other begins"},
		&cli.BoolFlag{Name: "dry-run", Usage: "show what the deploy would do, and change nothing"},
		&cli.BoolFlag{Name: "detailed-exitcode", Usage: "with --dry-run: exit 9 if some host would be changed, 0 if none"},
	}
}

// deployFlags are those of push, deploy and rollback alike.
func deployFlags() []cli.Flag {
	flags := append(targetFlags(), rolloutFlags()...)
	return append(flags,
		&cli.BoolFlag{Name: "detach", Usage: "do not wait for the deploy's end"},
		&cli.DurationFlag{Name: "timeout", Usage: "how long to wait; the deploy goes on after it", Value: defaultTimeout},
	)
}

// rollout is one deploy as the command line asks for it.
type rollout struct {
	ref      release.Ref
	selector release.Selector
	steps    release.Rollout
	rollback *control.Rollback // nil: no older release is meant
	unsigned bool              // it is read from the document of a rollback, which has no statement
	key      string            // the caller's name for the deploy; may be empty
	signer   signer            // of what lets hosts go back after failures
	detach   bool
	timeout  time.Duration
	dryRun   bool
	detailed bool // the exit code of a dry run tells whether anything would change
}

func rolloutOf(cmd *cli.Command, ref release.Ref) (rollout, error) {
	o := rollout{ref: ref, timeout: defaultTimeout}
	return o, o.take(cmd)
}

// take lets the flags that are given replace what o has.
func (o *rollout) take(cmd *cli.Command) error {
	o.dryRun, o.detailed = cmd.Bool("dry-run"), cmd.Bool("detailed-exitcode")
	if cmd.IsSet("detach") {
		o.detach = cmd.Bool("detach")
	}
	if cmd.IsSet("timeout") {
		o.timeout = cmd.Duration("timeout")
	}
	if cmd.IsSet("idempotency-key") {
		if o.key = cmd.String("idempotency-key"); o.key == "" {
			return usagef("--idempotency-key: it is empty")
		}
	}
	selector, err := selectorOf(cmd)
	if err != nil {
		return err
	}
	if cmd.IsSet("target") {
		o.selector.Targets = selector.Targets
	}
	if cmd.IsSet("exclude") {
		o.selector.Excludes = selector.Excludes
	}
	if err := takeSteps(cmd, &o.steps); err != nil {
		return err
	}
	return ofFlag(cmd, o.validate())
}

// takeSteps lets flags replace how the deploy goes live.
func takeSteps(cmd *cli.Command, r *release.Rollout) (err error) {
	if cmd.IsSet("wave") {
		if r.Waves, err = parseWaves(cmd.String("wave")); err != nil {
			return fmt.Errorf("--wave: %w", err)
		}
	}
	if cmd.IsSet("max-failures") {
		share, err := release.ParseShare(cmd.String("max-failures"))
		if err != nil {
			return fmt.Errorf("--max-failures: %w", err)
		}
		r.MaxFailures = &share
	}
	if cmd.IsSet("wave-pause") {
		r.WavePause = release.Duration(cmd.Duration("wave-pause"))
	}
	if cmd.IsSet("hosts-at-once") {
		if r.HostsAtOnce = cmd.Int("hosts-at-once"); r.HostsAtOnce < 1 {
			return usagef("--hosts-at-once %d: want 1 or more", r.HostsAtOnce)
		}
	}
	if cmd.IsSet("on-failure") {
		if r.OnFailure = release.OnFailure(cmd.String("on-failure")); r.OnFailure == "" {
			return usagef("--on-failure: want %s or %s", release.OnFailurePause, release.OnFailureRollback)
		}
	}
	if cmd.IsSet("fetch-only") {
		r.FetchOnly = cmd.Bool("fetch-only")
	}
	takeAlong(cmd, r)
	return nil
}

// takeAlong takes out what a file says that means nothing beside a flag. What another
// flag says stays, and is an error.
func takeAlong(cmd *cli.Command, r *release.Rollout) {
	fetchOnly := cmd.Bool("fetch-only")
	if fetchOnly && !cmd.IsSet("wave") {
		r.Waves = nil
	}
	if fetchOnly && !cmd.IsSet("hosts-at-once") {
		r.HostsAtOnce = 0
	}
	if fetchOnly && !cmd.IsSet("on-failure") && r.OnFailure == release.OnFailureRollback {
		r.OnFailure = ""
	}
	if (fetchOnly || cmd.IsSet("wave")) && len(r.Waves) < 2 && !cmd.IsSet("wave-pause") {
		r.WavePause = 0
	}
}

// parseWaves reads shares with commas between, as 1,10%,100%.
func parseWaves(text string) (waves []release.Share, err error) {
	for part := range strings.SplitSeq(text, ",") {
		share, err := release.ParseShare(strings.TrimSpace(part))
		if err != nil {
			return nil, err
		}
		waves = append(waves, share)
	}
	return waves, nil
}

func (o rollout) validate() error {
	if err := o.selector.Validate(); err != nil {
		return err
	}
	switch {
	case o.timeout <= 0:
		return usagef("--timeout %s: want a time above zero, such as 30m", o.timeout)
	case o.detailed && !o.dryRun:
		return usagef("--detailed-exitcode: it goes with --dry-run, which is missing")
	case len(o.key) > control.MaxKeyLen:
		return usagef("--idempotency-key: it has %d bytes, at most %d are allowed", len(o.key), control.MaxKeyLen)
	case release.Printable(o.key) != o.key:
		return usagef("--idempotency-key %q: want characters that can be printed", o.key)
	}
	return o.steps.Validate()
}

// goesBack reports whether failures bring the release before back.
func (o rollout) goesBack() bool { return o.steps.OnFailure == release.OnFailureRollback }

// request is the deploy as the seeder is asked for it.
func (o rollout) request() control.CreateDeploy {
	return control.CreateDeploy{Ref: o.ref, Selector: o.selector, Rollout: o.steps, Rollback: o.rollback, Key: o.key}
}

// rollOut creates the deploy and follows it to its end; in a dry run it shows what
// that would do. It closes p.
func (s *session) rollOut(ctx context.Context, c *control.Client, p printer, o rollout) error {
	if o.dryRun {
		p.close()
		return s.dryRun(ctx, c, o, nil, release.FormatFile)
	}
	if lacks := s.lacksForBack(o); lacks != "" {
		p.alert(lacks)
	}
	st, err := createDeploy(ctx, c, o)
	if err != nil {
		p.close()
		return createFault(ctx, o.ref, err)
	}
	return s.attend(ctx, c, p, st, o)
}

// attend follows a deploy that was asked for, or says that it began. It closes p.
func (s *session) attend(ctx context.Context, c *control.Client, p printer, st control.DeployStatus, o rollout) error {
	if !o.detach {
		return s.followDeploy(ctx, c, p, st, o.timeout)
	}
	p.close()
	if s.output != outputText {
		return s.writeJSON(st)
	}
	if isPaused(st) { // asked for before, and paused since
		fmt.Fprintf(s.out, "deploy %s of %s is under way and is paused%s: crow resume %s lets it go on\n", st.Deploy, o.ref, because(st), st.Deploy)
		return nil
	}
	fmt.Fprintf(s.out, "deploy %s of %s began on %d hosts\n", st.Deploy, o.ref, fleetOf(st).hosts)
	s.note("follow it with: crow status %s --watch", st.Deploy)
	return nil
}

func createDeploy(ctx context.Context, c *control.Client, o rollout) (control.DeployStatus, error) {
	req := o.request()
	if o.goesBack() {
		var err error
		if req.Fallback, err = o.fallback(ctx, c); err != nil {
			return control.DeployStatus{}, err
		}
	}
	return c.CreateDeploy(ctx, req)
}

// createFault words the failure to create a deploy. The order may have arrived
// although its answer did not.
func createFault(ctx context.Context, ref release.Ref, err error) error {
	if ctx.Err() != nil {
		return &fault{
			kind: interrupted, cause: err, hint: "crow status " + ref.App,
			text: fmt.Sprintf("interrupted while the deploy of %s was created: it may go on", ref),
		}
	}
	if _, own := errors.AsType[*fault](err); own {
		return err
	}
	return fmt.Errorf("deploy %s: %w", ref, err)
}
