package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v3"

	"crow/internal/release"
	"crow/internal/store"
	"crow/peer"
	"crow/peer/admin"
)

const peerGCHelp = `Removes from this host's data_dir what nobody needs: releases beyond keep (never the live
one, the one before, or one that is ordered), artifacts of no release, and what was cut short.
The agent does it if it runs; else it is done here, and only as the agent's own user. An
agent does the same after each deploy: this is for a keep that was lowered, and to look.
What cannot be removed is named at the end, with exit code 1; all else goes.`

// peerGC is the command that clears a host's disk.
func (a *app) peerGC() *cli.Command {
	return &cli.Command{
		Name:        "gc",
		Usage:       "remove what nobody needs from this host's disk",
		UsageText:   "crow peer gc --config FILE [--dry-run]",
		Description: peerGCHelp,
		Flags:       []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "only say what would go"}},
		Action: a.onHost(0, func(ctx context.Context, cmd *cli.Command, s *session, config peer.Config) error {
			out, err := peer.Clear(ctx, config, cmd.Bool("dry-run"), s.log)
			if err != nil {
				return clearFault(err)
			}
			if s.output != outputText {
				err = s.writeJSON(out)
			} else {
				writeCleared(s, out)
			}
			return cmp.Or(err, troubleFault(out.Trouble))
		}),
	}
}

// clearFault is what kept a host's disk from being cleared.
func clearFault(err error) error {
	f := &fault{kind: unexpected, text: "gc: " + err.Error(), cause: err}
	if errors.Is(err, store.ErrLocked) {
		f.hint = "restart the agent, or wait until it is up"
	}
	if errors.Is(err, release.ErrInvalid) {
		f.kind = usage
	}
	return f
}

// troubleFault is what could not be cleared while all else was.
func troubleFault(all []admin.Trouble) error {
	if len(all) == 0 {
		return nil
	}
	var words []string
	for _, t := range all {
		words = append(words, cmp.Or(t.App, "cache")+": "+t.Error)
	}
	return &fault{
		kind: unexpected, text: "gc: not all could be cleared: " + release.Printable(strings.Join(words, "; ")),
		hint: "mend that, and run it again: all else is done",
	}
}

func writeCleared(s *session, out admin.Cleared) {
	if len(out.Removed) > 0 {
		rows := [][]string{{"KIND", "NAME", "SIZE"}}
		for _, item := range out.Removed {
			rows = append(rows, []string{string(item.Kind), release.Printable(item.Name), release.Size(item.Bytes).String()})
		}
		writeTable(s.out, rows)
	}
	verb := "removed"
	if out.DryRun {
		verb = "would remove"
	}
	fmt.Fprintf(s.out, "%s %s, which frees %s\n", verb, things(len(out.Removed)), release.Size(out.Bytes))
	if len(out.Busy) > 0 {
		s.note("passed over, as a deploy is under way: %s", strings.Join(out.Busy, ", "))
	}
}

func things(n int) string {
	if n == 1 {
		return "1 thing"
	}
	return fmt.Sprintf("%d things", n)
}
