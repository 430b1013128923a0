package main

import (
	"context"
	"fmt"

	"github.com/urfave/cli/v3"

	"crow/internal/release"
)

// deploy is the command that sets an existing release live.
func (a *app) deploy() *cli.Command {
	return &cli.Command{
		Name:        "deploy",
		Usage:       "deploy a release to hosts and wait until it is live",
		ArgsUsage:   "[APP@VERSION]",
		Description: rolloutHelp + deployFileHelp,
		Flags:       append(deployFlags(), signKeyFlag(), fileFlag()),
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			o, err := deployOf(cmd)
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
			if err := s.requireMatch(ctx, c, o.ref.App, o.selector); err != nil {
				return err
			}
			return s.rollOut(ctx, c, s.newPrinter(), o)
		}),
	}
}

const deployFileHelp = `

With -f all this is in a file, YAML or JSON, that a pipeline keeps beside the code:

   app: web
   version: 1.42.0
   target: role=web
   wave: 1,10%,100%
   wave_pause: 5m

It knows exclude, hosts_at_once, max_failures, on_failure, fetch_only, idempotency_key,
timeout and detach, too. Arguments and flags beside it replace what it says. The document
that --output json writes of a deploy asks for that deploy again, but not that of a
rollback: hosts want a statement that is signed anew.`

func fileFlag() cli.Flag {
	return &cli.StringFlag{Name: "file", Aliases: []string{"f"}, Usage: "`FILE` that says what to deploy and how; - is standard input"}
}

// deployOf is the deploy that a file asks for, if one is named, and that the command
// line does.
func deployOf(cmd *cli.Command) (rollout, error) {
	o := rollout{timeout: defaultTimeout}
	var err error
	if cmd.IsSet("file") {
		if o, err = readRollout(cmd.String("file")); err != nil {
			return o, err
		}
	}
	switch {
	case cmd.Args().Present():
		if o.ref, err = release.ParseRef(cmd.Args().First()); err != nil {
			return o, err
		}
	case o.unsigned:
		return o, &fault{
			kind: usage, hint: fmt.Sprintf("crow rollback %s --to %s", o.ref.App, o.ref.Version),
			text: fmt.Sprintf("deploy file %s: it is of the rollback to %s, without the signed statement that hosts want of one", cmd.String("file"), o.ref),
		}
	case o.ref == (release.Ref{}):
		return o, usagef("deploy: which release? want APP@VERSION, or a file that names app and version")
	default:
		if err := o.ref.Validate(); err != nil {
			return o, fmt.Errorf("deploy file %s: %w", cmd.String("file"), err)
		}
	}
	return o, o.take(cmd)
}
