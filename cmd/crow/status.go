package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
)

// status is the command that tells where deploys stand.
func (a *app) status() *cli.Command {
	return &cli.Command{
		Name:      "status",
		Usage:     "show a deploy, an app's newest deploy, or the newest deploy of each app",
		ArgsUsage: "[DEPLOY|APP]",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "watch", Usage: "follow the deploy to its end, and exit as push would"},
			&cli.DurationFlag{Name: "timeout", Usage: "how long to watch", Value: defaultTimeout},
			&cli.BoolFlag{Name: "all-hosts", Usage: "list hosts that are active one by one, however many"},
		},
		Action: a.action(1, func(ctx context.Context, cmd *cli.Command, s *session) error {
			name, watching, timeout := cmd.Args().First(), cmd.Bool("watch"), cmd.Duration("timeout")
			if watching && name == "" {
				return usagef("status: --watch wants a DEPLOY or APP")
			}
			if timeout <= 0 {
				return usagef("--timeout %s: want a time above zero, such as 30m", timeout)
			}
			c, err := s.client()
			if err != nil {
				return err
			}
			if name == "" {
				return s.statusOfAll(ctx, c)
			}
			st, err := c.Status(ctx, name, 0, 0)
			if err != nil {
				return fmt.Errorf("status of %s: %w", name, err)
			}
			if watching {
				return s.followDeploy(ctx, c, s.newPrinter(), st, timeout)
			}
			view := deployView{st: st, now: time.Now(), away: s.awayIn(ctx, c, st), allHosts: cmd.Bool("all-hosts")}
			if name == st.Deploy {
				return s.writeStatus(view)
			}
			return s.writeAppStatus(ctx, c, view)
		}),
	}
}

func (s *session) writeStatus(v deployView) error {
	if s.output != outputText {
		return s.writeJSON(v.st)
	}
	v.write(s.out)
	return nil
}

// writeAppStatus shows an app's newest deploy, and who does not run what is wanted.
func (s *session) writeAppStatus(ctx context.Context, c *control.Client, v deployView) error {
	drifted, known := s.drift(ctx, c, v.st.App)
	if s.output != outputText {
		return s.writeJSON(appDocument{v.st, drifted})
	}
	v.write(s.out)
	if known {
		writeDrift(s.out, drifted, v.now)
	}
	return nil
}

// statusOfAll shows the newest deploy of each app that has a release.
func (s *session) statusOfAll(ctx context.Context, c *control.Client) error {
	releases, err := c.Releases(ctx, "")
	if err != nil {
		return err
	}
	var all []control.DeployStatus
	for _, app := range appsOf(releases) {
		st, err := c.Status(ctx, app, 0, 0)
		if answer, ok := errors.AsType[*control.Error](err); ok && answer.Code == control.CodeNotFound {
			continue // released but never deployed
		}
		if err != nil {
			return err
		}
		all = append(all, st)
	}
	return writeList(s, all, deployRows)
}

// appsOf lists the apps in the order of their newest releases.
func appsOf(releases []control.Release) []string {
	var apps []string
	seen := map[string]bool{}
	for _, r := range releases {
		if !seen[r.App] {
			seen[r.App] = true
			apps = append(apps, r.App)
		}
	}
	return apps
}

func deployRows(all []control.DeployStatus) [][]string {
	rows := [][]string{{"RELEASE", "DEPLOY", "PHASE", "HOSTS", "STARTED"}}
	for _, st := range all {
		f := fleetOf(st)
		rows = append(rows, []string{
			f.ref.String(), st.Deploy, st.Phase.String(), f.counts(), st.Started.Local().Format(time.DateTime),
		})
	}
	return rows
}
