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
		Usage:     "list the releases of an app, or of all, newest first",
		ArgsUsage: "[APP]",
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			app := cmd.Args().First()
			if app != "" {
				if err := release.ValidateApp(app); err != nil {
					return err
				}
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			all, err := c.Releases(ctx, app)
			if err != nil {
				return err
			}
			if app != "" && len(all) == 0 {
				return &fault{kind: usage, text: fmt.Sprintf("app %s has no release", app), hint: "crow releases"}
			}
			return writeList(s, all, releaseRows)
		}),
	}
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
