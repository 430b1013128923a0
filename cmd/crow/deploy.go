package main

import (
	"context"

	"github.com/urfave/cli/v3"

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
