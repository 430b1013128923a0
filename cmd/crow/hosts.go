package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
)

// hosts is the command that lists the fleet.
func (a *app) hosts() *cli.Command {
	return &cli.Command{
		Name:      "hosts",
		Usage:     "list the fleet's hosts",
		ArgsUsage: " ",
		Flags:     targetFlags()[:1],
		Action: a.action(0, func(ctx context.Context, cmd *cli.Command, s *session) error {
			sel, err := selectorOf(cmd)
			if err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			hosts, err := c.Hosts(ctx, sel.Targets)
			if err != nil {
				return err
			}
			if len(hosts) == 0 && len(sel.Targets) > 0 {
				return noHostFault(sel)
			}
			now := time.Now()
			return writeList(s, hosts, func(h []control.Host) [][]string { return fleetRows(h, now) })
		}),
	}
}

func fleetRows(hosts []control.Host, now time.Time) [][]string {
	rows := [][]string{{"HOST", "STATE", "ADDRESS", "RUNNING", "LABELS", "LAST SEEN", "CROW"}}
	for _, h := range hosts {
		rows = append(rows, []string{
			oneLine(h.Name), string(h.State), orDash(oneLine(h.Address)), pairs(h.Running, "@"), pairs(h.Labels, "="),
			ago(h.LastSeen, now), orDash(oneLine(h.Crow)),
		})
	}
	return rows
}
