package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"crow/internal/control"
)

// appDocument is crow status APP --output json: the app's newest deploy, and the
// hosts that do not run what is wanted of them.
type appDocument struct {
	control.DeployStatus
	Drift []control.AppHost `json:"drift"` // null: the seeder did not say
}

// drift asks who runs something else than wanted. A seeder that does not answer has
// told where the deploy stands, which is worth showing alone.
func (s *session) drift(ctx context.Context, c *control.Client, app string) (drifted []control.AppHost, known bool) {
	status, err := c.App(ctx, app)
	if err != nil {
		s.note("who else runs what of %s is not known: %s", app, textOf(err))
		return nil, false
	}
	drifted = []control.AppHost{}
	for _, h := range status.Hosts {
		if h.Drift != "" {
			drifted = append(drifted, h)
		}
	}
	return drifted, true
}

func writeDrift(w io.Writer, drifted []control.AppHost, now time.Time) {
	if len(drifted) == 0 {
		fmt.Fprintln(w, "\nno drift: every host runs what is wanted of it")
		return
	}
	fmt.Fprintf(w, "\ndrift: %s what is wanted, or failed at it\n", doThey(len(drifted), "host does not run", "hosts do not run"))
	writeTable(w, driftRows(drifted, now))
}

func driftRows(drifted []control.AppHost, now time.Time) [][]string {
	rows := [][]string{{"HOST", "RUNNING", "SINCE", "WANTED", "DEPLOY", "WHY"}}
	for _, h := range drifted {
		since := "-"
		if h.Since != nil {
			since = ago(*h.Since, now)
		}
		rows = append(rows, []string{
			oneLine(h.Name), orDash(oneLine(h.Running)), since, orDash(oneLine(h.Wanted)), orDash(oneLine(h.Deploy)), clip(oneLine(h.Drift), maxNote),
		})
	}
	return rows
}

// doThey is a number with the noun and verb that go with it.
func doThey(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
