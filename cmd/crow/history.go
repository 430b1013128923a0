package main

import (
	"context"
	"fmt"
	"strings"
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
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "limit", Usage: "the newest `N` entries", Value: control.DefaultHistory},
			&cli.BoolFlag{Name: "verify", Usage: "check instead that no line of the log was changed or taken out"},
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			if cmd.Bool("verify") {
				return s.verifyHistory(ctx, cmd)
			}
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

// verifyHistory tells how many entries of the seeder's log are whole, or where
// its chain breaks.
func (s *session) verifyHistory(ctx context.Context, cmd *cli.Command) error {
	if cmd.Args().Present() || cmd.IsSet("limit") {
		return usagef("history: --verify is of the whole log: it goes without APP and --limit")
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	check, err := c.VerifyHistory(ctx)
	if err != nil {
		return err
	}
	if s.output != outputText {
		if err := s.writeJSON(check); err != nil {
			return err
		}
	} else if check.Break == nil {
		fmt.Fprintf(s.out, "whole entries: %d, each follows from the one before; that none is missing at the end the log alone cannot tell\n", check.Entries)
	}
	return brokenHistory(check)
}

// brokenHistory is the error that a check stands for; nil if all is whole.
func brokenHistory(check control.HistoryCheck) error {
	b := check.Break
	if b == nil {
		return nil
	}
	return &fault{
		kind: refused, text: fmt.Sprintf("history: %s line %d: %s; whole entries before it: %d", b.File, b.Line, b.Why, check.Entries),
		hint: "compare the log, in the seeder's store, with a copy that is kept elsewhere",
	}
}

func historyRows(entries []control.HistoryEntry) [][]string {
	rows := [][]string{{"TIME", "WHO", "DID", "RELEASE", "DEPLOY", "RESULT", ""}}
	for _, e := range entries {
		what := oneLine(e.App)
		if e.Version != "" {
			what += "@" + oneLine(e.Version)
		}
		rows = append(rows, []string{
			e.Time.Local().Format(time.DateTime), oneLine(e.Who), oneLine(e.Action), what, oneLine(e.Deploy), oneLine(e.Result), noteOfEntry(e),
		})
	}
	return rows
}

// noteOfEntry is an entry's message, and what has no entry of its own.
func noteOfEntry(e control.HistoryEntry) string {
	note := clip(oneLine(e.Message), 80)
	switch {
	case e.LeftOut > 0 && e.Result == control.ResultOK:
		note += fmt.Sprintf(" (after %d more calls that failed)", e.LeftOut)
	case e.LeftOut > 0:
		note += fmt.Sprintf(" (and %d more like it)", e.LeftOut)
	}
	return strings.TrimSpace(note)
}
