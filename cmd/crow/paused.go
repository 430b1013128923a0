package main

import (
	"fmt"
	"slices"

	"crow/internal/control"
	"crow/internal/release"
)

func isPaused(st control.DeployStatus) bool { return st.Phase == release.DeployPaused }

// isStopped reports whether failures have paused a deploy: then nothing goes on
// until somebody decides, and who follows it is to be told at once. While the hosts
// that failed try again it stays paused, but something goes on.
func isStopped(st control.DeployStatus) bool {
	return isPaused(st) && st.PausedBy == control.PausedByFailures && (len(failedHosts(st)) > 0 || !isTrying(st))
}

// isTrying reports whether a host tries again.
func isTrying(st control.DeployStatus) bool {
	return slices.ContainsFunc(st.Hosts, func(h control.HostStatus) bool { return !h.Late && h.Attempt > 0 && !h.Phase.Ended() })
}

// isSettled reports whether a deploy has a result.
func isSettled(st control.DeployStatus) bool { return st.Phase.Ended() || isStopped(st) }

// ongoing words what a deploy without a result does.
func ongoing(st control.DeployStatus) string {
	if isPaused(st) {
		return "is paused"
	}
	return "goes on"
}

// choices are the commands for a deploy that failures have paused. Where no host is
// failed any more nothing is left to be looked at: it only has to be let go on.
func choices(st control.DeployStatus) string {
	d := st.Deploy
	end := fmt.Sprintf("crow abort %s or crow rollback %s", d, st.App)
	if len(failedHosts(st)) == 0 {
		return fmt.Sprintf("let it go on with crow resume %s; else %s", d, end)
	}
	return fmt.Sprintf("crow status %s, then crow retry %s --failed-only, crow resume %s, %s", d, d, d, end)
}

// turnOf is what to tell of a deploy that somebody pauses or lets go on while it is
// followed; empty is nothing.
func turnOf(prev, next control.DeployStatus) string {
	switch {
	case isPaused(next) && !isPaused(prev) && next.PausedBy != control.PausedByFailures:
		return fmt.Sprintf("deploy %s is paused%s: waiting for crow resume %s", next.Deploy, because(next), next.Deploy)
	case isPaused(prev) && !isPaused(next) && !next.Phase.Ended():
		return fmt.Sprintf("deploy %s goes on", next.Deploy)
	}
	return ""
}

func because(st control.DeployStatus) string {
	switch st.PausedBy {
	case "":
		return ""
	case control.PausedByFailures:
		return " after failures"
	}
	return " by an " + oneLine(st.PausedBy)
}
