package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// forget is the command for a host that is gone for good.
func (a *app) forget() *cli.Command {
	return &cli.Command{
		Name:        "forget",
		Usage:       "remove a host that is gone for good from the seeder's books",
		ArgsUsage:   "HOST",
		Description: "No deploy waits for it any more, and targets do not match it. One that comes back is a new host.\nA host that is there is not forgotten: stop its agent first.",
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			name := cmd.Args().First()
			if err := release.ValidateHost(name); err != nil {
				return usagef("forget: which host? %v", err)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			h, err := c.Forget(ctx, name)
			if err != nil {
				return err
			}
			if s.output != outputText {
				return s.writeJSON(h)
			}
			fmt.Fprintln(s.out, forgotten(h, time.Now()))
			return nil
		}),
	}
}

// forgotten tells what is known no more.
func forgotten(h control.Host, now time.Time) string {
	line := fmt.Sprintf("host %s is forgotten: %s", oneLine(h.Name), lastHeard(h, now))
	if len(h.Running) > 0 {
		line += ", it ran " + pairs(h.Running, "@")
	}
	return line
}
