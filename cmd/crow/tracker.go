package main

import (
	"github.com/urfave/cli/v3"
	"go.uber.org/zap"

	"crow/tracker"
)

// tracker is the command that runs a tracker alone; a seeder has one of its
// own.
func (a *app) tracker() *cli.Command {
	return daemon(a, "tracker", "a tracker of its own, for seeders that name it in trackers", tracker.DefaultServerConfig(),
		func(c tracker.ServerConfig, log *zap.Logger) (runner, error) { return tracker.NewServer(c, log) })
}
