package main

import (
	"context"

	"github.com/urfave/cli/v3"
	"go.uber.org/zap"

	"crow/peer"
)

// peer is the command that runs the agent of one host, and those that look after
// what it has on disk.
func (a *app) peer() *cli.Command {
	cmd := daemon(a, "peer", "the agent that fetches, stages and sets live what this host should have", peer.DefaultConfig(),
		func(c peer.Config, log *zap.Logger) (runner, error) {
			return peer.New(c, peer.Options{Version: crowVersion(), Log: log})
		})
	cmd.HideHelp = true
	cmd.UsageText += "\ncrow peer gc --config FILE [--dry-run]\ncrow peer verify --config FILE [APP] [--mend-live]"
	cmd.Commands = []*cli.Command{a.peerGC(), a.peerVerify()}
	for _, sub := range cmd.Commands {
		sub.HideHelp = true
		sub.OnUsageError = usageErrorOf
		sub.Before = showResultFlags
	}
	return cmd
}

// onHost is the action of a command for whoever is on a host, by its agent's config.
func (a *app) onHost(maxArgs int, do func(ctx context.Context, cmd *cli.Command, s *session, config peer.Config) error) cli.ActionFunc {
	return a.guard(maxArgs, func(ctx context.Context, cmd *cli.Command) error {
		s, err := a.session(cmd, clientConfig{}, "warn")
		if err != nil {
			return err
		}
		config, err := configOfHost(cmd)
		if err != nil {
			return err
		}
		a.reached = true
		return do(ctx, cmd, s, config)
	})
}

// configOfHost is the config that --config names, for commands on the peer's host.
func configOfHost(cmd *cli.Command) (peer.Config, error) {
	path := cmd.String("config")
	if path == "" {
		return peer.Config{}, &fault{
			kind: usage, text: cmd.Name + ": --config is missing", hint: "crow peer " + cmd.Name + " --config /etc/crow/peer.yaml",
		}
	}
	config, err := readConfig(path, peer.DefaultConfig())
	if err == nil {
		err = validate(path, config)
	}
	return config, err
}

// showResultFlags shows what hideClientFlags hid of a daemon's command in the help
// of those below it that have a result.
func showResultFlags(ctx context.Context, cmd *cli.Command) (context.Context, error) {
	for _, f := range cmd.Root().Flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Hidden = f.Hidden && f.Name != "output"
		case *cli.BoolFlag:
			f.Hidden = f.Hidden && f.Name != "quiet"
		}
	}
	return ctx, nil
}
