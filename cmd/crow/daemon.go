package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"
	"go.uber.org/zap"
)

// runner is a daemon that New has bound: it runs until ctx ends.
type runner interface {
	Run(ctx context.Context) error
}

// daemon makes the command of a daemon whose config file is a C over defaults.
func daemon[C interface{ Validate() error }](a *app, name, what string, defaults C, start func(C, *zap.Logger) (runner, error)) *cli.Command {
	return &cli.Command{
		Name:      name,
		Usage:     "run " + what,
		UsageText: fmt.Sprintf("crow %s --config FILE", name),
		Before:    hideClientFlags,
		Action: a.guard(0, func(ctx context.Context, cmd *cli.Command) error {
			s, err := a.session(cmd, clientConfig{}, "info")
			if err != nil {
				return err
			}
			path := cmd.String("config")
			if path == "" {
				return &fault{kind: usage, text: name + ": --config is missing", hint: fmt.Sprintf("crow %s --config /etc/crow/%s.yaml", name, name)}
			}
			config, err := readConfig(path, defaults)
			if err == nil {
				err = validate(path, config)
			}
			if err != nil {
				return err
			}
			a.reached = true
			return runDaemon(ctx, name, config, s.log, start)
		}),
	}
}

// hideClientFlags keeps what is for client commands alone out of a daemon's
// help; the flags are taken all the same.
func hideClientFlags(ctx context.Context, cmd *cli.Command) (context.Context, error) {
	for _, f := range cmd.Root().Flags {
		switch f := f.(type) {
		case *cli.StringFlag:
			f.Hidden = f.Hidden || f.Name != "config" && f.Name != "log-level"
		case *cli.BoolFlag:
			f.Hidden = f.Hidden || f.Name == "quiet"
		}
	}
	return ctx, nil
}

func validate[C interface{ Validate() error }](path string, config C) error {
	if err := config.Validate(); err != nil {
		return configFault(path, err, "")
	}
	return nil
}

// runDaemon runs until a signal ends ctx; that is a daemon's good end.
func runDaemon[C any](ctx context.Context, name string, config C, log *zap.Logger, start func(C, *zap.Logger) (runner, error)) error {
	d, err := start(config, log)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	err = d.Run(ctx)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}
