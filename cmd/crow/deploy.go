package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// deploy is the command that sets an existing release live.
func (a *app) deploy() *cli.Command {
	return &cli.Command{
		Name:      "deploy",
		Usage:     "deploy a release to hosts and wait until it is live",
		ArgsUsage: "APP@VERSION",
		Flags:     deployFlags(),
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			if cmd.Args().Len() != 1 {
				return usagef("deploy: which release? want APP@VERSION")
			}
			ref, err := release.ParseRef(cmd.Args().First())
			if err != nil {
				return err
			}
			o, err := rolloutOf(cmd, ref)
			if err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if err := requireMatch(ctx, c, o.ref.App, o.selector); err != nil {
				return err
			}
			return s.rollOut(ctx, c, s.newPrinter(), o)
		}),
	}
}

// deployFlags are those of push and deploy alike.
func deployFlags() []cli.Flag {
	return append(targetFlags(),
		&cli.BoolFlag{Name: "detach", Usage: "do not wait for the deploy's end"},
		&cli.DurationFlag{Name: "timeout", Usage: "how long to wait; the deploy goes on after it", Value: defaultTimeout},
	)
}

// rollout is one deploy as the command line asks for it.
type rollout struct {
	ref      release.Ref
	selector release.Selector
	rollback *control.Rollback // nil: no older release is meant
	detach   bool
	timeout  time.Duration
}

func rolloutOf(cmd *cli.Command, ref release.Ref) (rollout, error) {
	o := rollout{ref: ref, detach: cmd.Bool("detach"), timeout: cmd.Duration("timeout")}
	if o.timeout <= 0 {
		return o, usagef("--timeout %s: want a time above zero, such as 30m", o.timeout)
	}
	var err error
	o.selector, err = selectorOf(cmd)
	return o, err
}

// rollOut creates the deploy and follows it to its end. It closes p.
func (s *session) rollOut(ctx context.Context, c *control.Client, p printer, o rollout) error {
	st, err := c.CreateDeploy(ctx, control.CreateDeploy{Ref: o.ref, Selector: o.selector, Rollback: o.rollback})
	if err != nil {
		p.close()
		return createFault(ctx, o.ref, err)
	}
	if !o.detach {
		return s.followDeploy(ctx, c, p, st, o.timeout)
	}
	p.close()
	if s.output != outputText {
		return s.writeJSON(st)
	}
	fmt.Fprintf(s.out, "deploy %s of %s began on %d hosts\n", st.Deploy, o.ref, fleetOf(st).hosts)
	s.note("follow it with: crow status %s --watch", st.Deploy)
	return nil
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
	return fmt.Errorf("deploy %s: %w", ref, err)
}

// followDeploy shows a deploy until its end and writes the result. It closes p.
func (s *session) followDeploy(ctx context.Context, c *control.Client, p printer, st control.DeployStatus, timeout time.Duration) error {
	w := s.newWatch(p)
	var writeErr error
	f := follower{
		poll: func(ctx context.Context, after uint64, wait time.Duration) (control.DeployStatus, error) {
			return c.Status(ctx, st.Deploy, after, wait)
		},
		show: func(st control.DeployStatus) {
			writeErr = errors.Join(writeErr, s.writeChanges(w.show(st, time.Now())))
		},
		alert:   p.alert,
		timeout: timeout,
	}
	last, err := f.follow(ctx, st)
	p.close()
	if err == nil {
		err = resultOf(last)
	}
	if writeErr == nil {
		writeErr = s.writeResult(last)
	}
	return errors.Join(err, writeErr)
}

// writeChanges writes the lines of --output jsonl.
func (s *session) writeChanges(changes []change) error {
	if s.output != outputJSONL {
		return nil
	}
	for _, c := range changes {
		if err := s.writeJSON(c); err != nil {
			return err
		}
	}
	return nil
}

// writeResult writes what a followed deploy came to.
func (s *session) writeResult(st control.DeployStatus) error {
	if s.output != outputText {
		return s.writeJSON(st)
	}
	writeSummary(s.out, st, time.Now())
	return nil
}
