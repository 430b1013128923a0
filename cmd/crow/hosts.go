package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
)

// hosts is the command that lists the fleet.
func (a *app) hosts() *cli.Command {
	return &cli.Command{
		Name:      "hosts",
		Usage:     "list the fleet's hosts",
		ArgsUsage: " ",
		Flags:     []cli.Flag{targetFlag("hosts to list", "all")},
		Action: a.action(0, func(ctx context.Context, cmd *cli.Command, s *session) error {
			sel, err := selectorOf(cmd)
			if err != nil {
				return err
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			hosts, err := hostsOf(ctx, c, sel)
			if err != nil {
				return err
			}
			now := time.Now()
			return writeList(s, hosts, func(h []control.Host) [][]string { return fleetRows(h, now) })
		}),
	}
}

// hostsOf returns the hosts that the selector matches, or without targets all.
// The seeder is asked for all of them: a URL has no room for what a file
// of names may select.
func hostsOf(ctx context.Context, c *control.Client, sel release.Selector) ([]control.Host, error) {
	hosts, err := c.Hosts(ctx, nil)
	if err != nil || len(sel.Targets) == 0 {
		return hosts, err
	}
	hosts = slices.DeleteFunc(hosts, func(h control.Host) bool { return !sel.Match(h.Name, h.Labels) })
	if len(hosts) == 0 {
		return nil, noHostFault(sel)
	}
	return hosts, nil
}

func fleetRows(hosts []control.Host, now time.Time) [][]string {
	rows := [][]string{{"HOST", "STATE", "ADDRESS", "RUNNING", "LABELS", "LAST SEEN", "CROW", "CERTIFICATE", "LIMITS"}}
	for _, h := range hosts {
		rows = append(rows, []string{
			oneLine(h.Name), string(h.State), orDash(oneLine(h.Address)), pairs(h.Running, "@"), pairs(h.Labels, "="),
			ago(h.LastSeen, now), orDash(oneLine(h.Crow)), certificateIn(h, now), limitsIn(h),
		})
	}
	return rows
}

// certificateIn tells of a certificate that ends soon.
func certificateIn(h control.Host, now time.Time) string {
	switch left := h.CertExpires.Sub(now); {
	case h.CertExpires.IsZero():
		return "-"
	case left <= 0:
		return "expired"
	case transport.EndsSoon(h.CertExpires, now):
		return fmt.Sprintf("ends in %d days", int(left.Hours()/24))
	}
	return "ok"
}
