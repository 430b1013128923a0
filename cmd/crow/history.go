package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// history is the command that tells who did what.
func (a *app) history() *cli.Command {
	return &cli.Command{
		Name:      "history",
		Usage:     "who pushed, signed, deployed and rolled back what, newest first",
		ArgsUsage: "[APP]",
		Flags:     []cli.Flag{&cli.IntFlag{Name: "limit", Usage: "the newest `N` entries", Value: control.DefaultHistory}},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			app := cmd.Args().First()
			if app != "" {
				if err := release.ValidateApp(app); err != nil {
					return err
				}
			}
			limit := cmd.Int("limit")
			if limit < 1 || limit > control.MaxHistory {
				return usagef("--limit %d: want 1 to %d", limit, control.MaxHistory)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			entries, err := c.History(ctx, app, limit)
			if err != nil {
				return err
			}
			return writeList(s, entries, historyRows)
		}),
	}
}

func historyRows(entries []control.HistoryEntry) [][]string {
	rows := [][]string{{"TIME", "WHO", "DID", "RELEASE", "DEPLOY", "RESULT", ""}}
	for _, e := range entries {
		what := e.App
		if e.Version != "" {
			what += "@" + e.Version
		}
		rows = append(rows, []string{
			e.Time.Local().Format(time.DateTime), e.Who, e.Action, what, e.Deploy, e.Result, clip(oneLine(e.Message), 80),
		})
	}
	return rows
}
