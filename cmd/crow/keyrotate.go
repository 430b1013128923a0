package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"
)

const keyRotateHelp = `The seeder makes a new key and hands it to all hosts with their orders, over TLS.
After --spread everybody sends with it; the old key is understood for --grace after that.
A host that is off meanwhile gets the keys in force when it is back. Key files in configs
need not change: a host remembers newer keys than its file has.`

// keyRotate is the command that changes the key of the fleet's gossip.
func (a *app) keyRotate() *cli.Command {
	return &cli.Command{
		Name:        "rotate",
		Usage:       "change the key of the fleet's gossip, while it runs",
		ArgsUsage:   "gossip",
		Description: keyRotateHelp,
		Flags: []cli.Flag{
			&cli.DurationFlag{Name: "spread", Usage: "time for hosts to get the new key before it is sent with", Value: time.Minute},
			&cli.DurationFlag{Name: "grace", Usage: "time that the old key is understood after that", Value: time.Hour},
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			if cmd.Args().First() != "gossip" {
				return usagef("key rotate: which key? only that of gossip rotates: crow key rotate gossip")
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			r, err := c.RotateGossipKey(ctx, cmd.Duration("spread"), cmd.Duration("grace"))
			if err != nil {
				return fmt.Errorf("rotate gossip key: %w", err)
			}
			if s.output != outputText {
				return s.writeJSON(r)
			}
			fmt.Fprintf(s.out, "hosts get the new key now; it is sent with from %s, the old one ends at %s\n",
				r.Sends.Local().Format(time.TimeOnly), r.Ends.Local().Format(time.DateTime))
			return nil
		}),
	}
}
