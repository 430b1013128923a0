package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// pause, resume, abort and retry are the commands that change the course of a
// deploy. Each may be given again: what is so already stays so.
func (a *app) pause() *cli.Command {
	return a.steering(control.VerbPause, "let nobody else go live in a deploy; fetching goes on")
}

func (a *app) abort() *cli.Command {
	return a.steering(control.VerbAbort, "end a deploy: who has not gone live yet never does")
}

func (a *app) resume() *cli.Command {
	return a.steering(control.VerbResume, "let a paused deploy go on, and count no failure from before", waitFlags()...)
}

func (a *app) retry() *cli.Command {
	failedOnly := &cli.BoolFlag{Name: "failed-only", Usage: "for the hosts that failed, and nobody else: the deploy waits again when they have ended"}
	return a.steering(control.VerbRetry, "let hosts that failed try again, and the deploy go on", append(waitFlags(), failedOnly)...)
}

func waitFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "wait", Usage: "follow the deploy to its end, and exit as deploy would: with 3 if failures have paused it"},
		&cli.DurationFlag{Name: "timeout", Usage: "how long to wait; the deploy goes on after it", Value: defaultTimeout},
	}
}

func (a *app) steering(verb control.Verb, usage string, flags ...cli.Flag) *cli.Command {
	return &cli.Command{
		Name:      string(verb),
		Usage:     usage,
		ArgsUsage: "DEPLOY|APP",
		Flags:     flags,
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			name, timeout := cmd.Args().First(), cmd.Duration("timeout")
			switch {
			case name == "":
				return usagef("%s: which deploy? want DEPLOY or APP, which means its newest", verb)
			case cmd.Bool("wait") && timeout <= 0:
				return usagef("--timeout %s: want a time above zero, such as 30m", timeout)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			st, err := c.Steer(ctx, name, control.Steer{Verb: verb, FailedOnly: cmd.Bool("failed-only")})
			if err != nil {
				return fmt.Errorf("%s %s: %w", verb, name, err)
			}
			if cmd.Bool("wait") {
				late := triesAgainLate(st)
				if err := s.followDeploy(ctx, c, s.newPrinter(), st, timeout); err != nil || len(late) == 0 {
					return err
				}
				return lateResult(ctx, c, st.Deploy, late)
			}
			return s.writeSteered(st, time.Now())
		}),
	}
}

// triesAgainLate are the hosts outside the count that a retry had try again.
func triesAgainLate(st control.DeployStatus) (names []string) {
	for _, h := range st.Hosts {
		if h.Late && h.Attempt > 0 && !h.Phase.Ended() {
			names = append(names, h.Name)
		}
	}
	return names
}

// lateResult is an error if one of these hosts has failed again: the deploy does not count
// them, but who has them try again asks for them.
func lateResult(ctx context.Context, c *control.Client, deploy string, late []string) error {
	st, err := c.Status(ctx, deploy, 0, 0)
	if err != nil {
		return err
	}
	for _, h := range st.Hosts {
		if slices.Contains(late, h.Name) && h.Phase == release.Failed {
			return &fault{
				kind: deployFailed, hint: "crow status " + st.Deploy,
				text: fmt.Sprintf("%s, which joined deploy %s late, failed again: %s", h.Name, st.Deploy, release.Printable(h.Reason)),
			}
		}
	}
	return nil
}

// writeSteered tells what is now so.
func (s *session) writeSteered(st control.DeployStatus, now time.Time) error {
	if s.output != outputText {
		return s.writeJSON(st)
	}
	f := fleetOf(st)
	fmt.Fprintf(s.out, "deploy %s of %s %s after %s: %s\n", oneLine(st.Deploy), f.ref, steered(st), seconds(ranFor(st, now)), f.counts())
	switch {
	case isPaused(st):
		s.note("let it go on with: crow resume %s", st.Deploy)
	case !st.Phase.Ended():
		s.note("follow it with: crow status %s --watch", st.Deploy)
	}
	return nil
}

// steered words where a deploy stands now.
func steered(st control.DeployStatus) string {
	if st.Phase.Ended() {
		return "is over, " + st.Phase.String() + ","
	}
	return ongoing(st)
}
