package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/urfave/cli/v3"

	"crow/internal/control"
	"crow/internal/release"
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
			return s.writeStatus(st, s.awayIn(ctx, c, st))
		}),
	}
}

func (s *session) writeStatus(st control.DeployStatus, away map[string]string) error {
	if s.output != outputText {
		return s.writeJSON(st)
	}
	writeDeploy(s.out, st, away, time.Now())
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

// writeDeploy shows a deploy with each of its hosts, and why those that are away
// are not heard.
func writeDeploy(w io.Writer, st control.DeployStatus, away map[string]string, now time.Time) {
	writeSummary(w, st, now)
	fmt.Fprintf(w, "artifact %s, sha256 %s\ntarget %s\n\n", release.Size(st.Artifact.Bytes), st.Artifact.SHA256, oneLine(st.Target.String()))
	writeTable(w, hostRows(st, away))
}

func hostRows(st control.DeployStatus, away map[string]string) [][]string {
	rows := [][]string{{"HOST", "ZONE", "PHASE", "PEERS", "SEEDER", "LOCAL", "FETCH", "STAGE", "HOOK", "NOTE"}}
	for _, h := range st.Hosts {
		rows = append(rows, []string{
			oneLine(h.Name), orDash(oneLine(h.Zone)), h.Phase.String(), sizeOf(h.Bytes.Peer), sizeOf(h.Bytes.Seeder + h.Bytes.Origin), sizeOf(h.Bytes.Local),
			secondsOf(h.FetchSeconds), secondsOf(h.StageSeconds), hookOf(h), noteOn(h, away[h.Name], st.Artifact.Bytes),
		})
	}
	return rows
}

func hookOf(h control.HostStatus) string {
	if h.Hook == nil {
		return "-"
	}
	return fmt.Sprintf("exit %d, %s", h.Hook.Exit, seconds(time.Duration(h.Hook.Seconds*float64(time.Second))))
}

// noteOn is what is worth knowing of a host beside its figures. The deploy's own
// word goes before what the fleet knows of a host that is away.
func noteOn(h control.HostStatus, away string, size int64) string {
	note := clip(oneLine(h.Reason), maxNote)
	switch {
	case note != "":
	case away != "" && !h.Phase.Ended():
		note = away
	case h.CutOff != "":
		note = clip(oneLine(h.CutOff), maxNote)
	case h.Unchanged:
		note = "already active"
	case h.Phase == release.Fetching && size > 0:
		note = fmt.Sprintf("%d%%", percent(usefulOf(h, size), size))
	}
	switch {
	case !h.Late:
		return note
	case note == "":
		return lateness(h)
	}
	return note + " (" + lateness(h) + ")"
}

// lateness words that a late host is outside the deploy's count. One that has
// left the fleet has such a row too, and has not joined yet.
func lateness(h control.HostStatus) string {
	if h.Phase == release.Pending {
		return "not there when it began"
	}
	return "joined late"
}
