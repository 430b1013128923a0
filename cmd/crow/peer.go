package main

import (
	"github.com/urfave/cli/v3"
	"go.uber.org/zap"

	"crow/peer"
)

// peer is the command that runs the agent of one host.
func (a *app) peer() *cli.Command {
	return daemon(a, "peer", "the agent that fetches, stages and sets live what this host should have", peer.DefaultConfig(),
		func(c peer.Config, log *zap.Logger) (runner, error) {
			return peer.New(c, peer.Options{Version: crowVersion(), Log: log})
		})
}
