package main

import (
	"context"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
)

// releases is the command that lists the catalog.
func (a *app) releases() *cli.Command {
	return &cli.Command{
		Name:      "releases",
		Usage:     "list the releases of an app, or of all, newest first; prune removes old ones",
		ArgsUsage: "[APP]",
		HideHelp:  true,
		Commands:  []*cli.Command{a.prune()},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			c, err := s.client()
			if err != nil {
				return err
			}
			all, err := releasesOf(ctx, c, cmd.Args().First())
			if err != nil {
				return err
			}
			return writeList(s, all, releaseRows)
		}),
	}
}

// releasesOf lists the releases of an app, which must have one; without a name of
// all.
func releasesOf(ctx context.Context, c *control.Client, app string) ([]control.Release, error) {
	if app != "" {
		if err := release.ValidateApp(app); err != nil {
			return nil, err
		}
	}
	all, err := c.Releases(ctx, app)
	if err == nil && app != "" && len(all) == 0 {
		err = &fault{kind: usage, text: fmt.Sprintf("app %s has no release", app), hint: "crow releases"}
	}
	return all, err
}

func releaseRows(all []control.Release) [][]string {
	rows := [][]string{{"RELEASE", "SIZE", "FORMAT", "CREATED", "SHA256"}}
	for _, r := range all {
		rows = append(rows, []string{
			r.Ref().String(), release.Size(r.Size).String(), r.Format.String(), r.Created.Local().Format(time.DateTime), r.SHA256.String(),
		})
	}
	return rows
}
