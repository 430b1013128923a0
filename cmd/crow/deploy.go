package main

import (
	"context"
	"errors"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// deploy is the command that sets an existing release live.
func (a *app) deploy() *cli.Command {
	return &cli.Command{
		Name:        "deploy",
		Usage:       "deploy a release to hosts and wait until it is live",
		ArgsUsage:   "APP@VERSION",
		Description: rolloutHelp,
		Flags:       append(deployFlags(), signKeyFlag()),
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
			if o.goesBack() && !o.dryRun {
				if o.signer, err = s.signer(ctx, cmd); err != nil {
					return err
				}
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
		note:    p.note,
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
