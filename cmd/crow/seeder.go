package main

import (
	"github.com/urfave/cli/v3"
	"go.uber.org/zap"

	"crow/seeder"
)

// seeder is the command that runs the fleet's seeder.
func (a *app) seeder() *cli.Command {
	return daemon(a, "seeder", "the seeder: artifact store, catalog, deploys, control API and tracker", seeder.DefaultConfig(),
		func(c seeder.Config, log *zap.Logger) (runner, error) {
			return seeder.New(c, seeder.Options{Version: crowVersion(), Log: log})
		})
}
