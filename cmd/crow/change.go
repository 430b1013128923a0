package main

import (
	"fmt"
	"strings"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// change is one line of --output jsonl: a host that moved to another phase, or
// the deploy itself.
type change struct {
	Schema int                  `json:"schema"`
	Time   time.Time            `json:"time"` // when the command learned of it
	Deploy string               `json:"deploy"`
	Phase  *release.DeployPhase `json:"phase,omitempty"` // the deploy's new phase
	Host   *control.HostStatus  `json:"host,omitempty"`  // or the host that changed
}

// changesOf lists what moved from prev to next: hosts in next's order, then
// the deploy. Everything in next is a change from the zero status.
func changesOf(prev, next control.DeployStatus, now time.Time) []change {
	was := make(map[string]release.Phase, len(prev.Hosts))
	for _, h := range prev.Hosts {
		was[h.Name] = h.Phase
	}
	var all []change
	for i := range next.Hosts {
		h := &next.Hosts[i]
		if phase, known := was[h.Name]; !known || phase != h.Phase {
			all = append(all, change{Schema: control.StatusSchema, Time: now, Deploy: next.Deploy, Host: h})
		}
	}
	if prev.Deploy == "" || prev.Phase != next.Phase {
		all = append(all, change{Schema: control.StatusSchema, Time: now, Deploy: next.Deploy, Phase: &next.Phase})
	}
	return all
}

// failure is the one line on a host that failed: name, step, reason and the
// last line of its hook, within maxErrorLine.
func failure(h control.HostStatus) string {
	line := fmt.Sprintf("%s failed: %s", h.Name, reasonOf(h))
	if tail := tailOf(h, 1); len(tail) > 0 {
		line += " | " + tail[0]
	}
	return clip(oneLine(line), maxErrorLine)
}

func reasonOf(h control.HostStatus) string {
	if h.Reason == "" {
		return "no reason given"
	}
	return h.Reason
}

// tailOf returns at most n of the last lines of the host's hook, or of the health
// check that failed after it, fit for a terminal.
func tailOf(h control.HostStatus, n int) []string {
	said := h.Hook
	if h.Check != nil && h.Check.Exit != 0 {
		said = h.Check
	}
	if said == nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(said.Tail) {
		if line = oneLine(line); line != "" {
			lines = append(lines, clip(line, maxHookLine))
		}
	}
	return lines[max(0, len(lines)-n):]
}
