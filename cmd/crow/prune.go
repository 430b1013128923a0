package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

const pruneHelp = `Of each app the newest releases stay, as many as --keep says. Of the older ones those
are removed that no host runs or is to run, for good: nobody can go back to them. Where
hosts are to keep their own copies for a rollback is in each host's config (keep).`

// prune is the command that removes old releases from the seeder's store.
func (a *app) prune() *cli.Command {
	return &cli.Command{
		Name:        "prune",
		Usage:       "remove old releases that no host runs or is to run",
		ArgsUsage:   "[APP]",
		Description: pruneHelp,
		HideHelp:    true,
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "keep", Usage: "the newest `N` releases of each app stay", HideDefault: true},
			&cli.BoolFlag{Name: "dry-run", Usage: "show what would be removed, and remove nothing"},
		},
		OnUsageError: usageErrorOf,
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			app, keep := cmd.Args().First(), cmd.Int("keep")
			if !cmd.IsSet("keep") || keep < 1 {
				return &fault{kind: usage, text: "releases prune: how many are to stay? want --keep 1 or more", hint: "crow releases prune --keep 10 --dry-run"}
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			all, err := releasesOf(ctx, c, app)
			if err != nil {
				return err
			}
			return s.prune(ctx, c, older(all, keep), cmd.Bool("dry-run"))
		}),
	}
}

// pruned is what became of an old release. Fields are only ever added.
type pruned struct {
	App     string `json:"app"`
	Version string `json:"version"`
	Removed bool   `json:"removed"`
	DryRun  bool   `json:"dry_run"` // it would be removed, and is not
	Bytes   int64  `json:"bytes"`   // of the store that its artifact took
	Kept    string `json:"kept"`    // why it is still needed; empty: it is not
}

// older are the releases but for the newest of each app, in their order, which is
// newest first.
func older(all []control.Release, keep int) (old []control.Release) {
	seen := map[string]int{}
	for _, r := range all {
		if seen[r.App]++; seen[r.App] > keep {
			old = append(old, r)
		}
	}
	return old
}

func (s *session) prune(ctx context.Context, c *control.Client, old []control.Release, dryRun bool) error {
	var done []pruned
	var failed error
	for _, r := range old {
		one, err := removeRelease(ctx, c, r.Ref(), dryRun)
		if answer, ok := errors.AsType[*control.Error](err); ok && answer.Code == control.CodeNotFound {
			continue // somebody else has removed it just now
		}
		if err != nil { // what was removed until then is told all the same
			failed = fmt.Errorf("remove %s: %w", r.Ref(), err)
			break
		}
		done = append(done, one)
	}
	if err := s.writePruned(done, dryRun); err != nil {
		return errors.Join(failed, err)
	}
	return failed
}

// removeRelease removes a release, or takes down why it is needed.
func removeRelease(ctx context.Context, c *control.Client, ref release.Ref, dryRun bool) (pruned, error) {
	one := pruned{App: ref.App, Version: ref.Version, DryRun: dryRun}
	gone, err := c.RemoveRelease(ctx, ref, dryRun)
	if answer, ok := errors.AsType[*control.Error](err); ok && answer.Code == control.CodeRefused {
		one.Kept = answer.Message
		return one, nil
	}
	one.Bytes, one.Removed = gone.Bytes, err == nil && !dryRun
	return one, err
}

func (s *session) writePruned(done []pruned, dryRun bool) error {
	if s.output != outputText {
		return writeList(s, done, prunedRows)
	}
	if len(done) > 0 {
		writeTable(s.out, prunedRows(done))
	}
	var removed, kept int
	var bytes int64
	for _, one := range done {
		if one.Kept != "" {
			kept++
			continue
		}
		removed, bytes = removed+1, bytes+one.Bytes
	}
	line := fmt.Sprintf("%s removed, %s", doThey(removed, "old release", "old releases"), release.Size(bytes))
	if dryRun {
		line = fmt.Sprintf("dry run: %s would be removed, %s", doThey(removed, "old release", "old releases"), release.Size(bytes))
	}
	if kept > 0 {
		line += fmt.Sprintf("; %d kept, for they are needed", kept)
	}
	fmt.Fprintln(s.out, line)
	return nil
}

func prunedRows(done []pruned) [][]string {
	rows := [][]string{{"RELEASE", "BYTES", "RESULT"}}
	for _, one := range done {
		result := "removed"
		switch {
		case one.Kept != "":
			result = "kept: " + clip(oneLine(one.Kept), maxNote)
		case one.DryRun:
			result = "would be removed"
		}
		rows = append(rows, []string{oneLine(one.App) + "@" + oneLine(one.Version), sizeOf(one.Bytes), result})
	}
	return rows
}
