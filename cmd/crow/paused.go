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

// resultOfRetry is resultOf where only hosts that failed were to try again: if they
// are well now, that the others still wait is what was asked for.
func resultOfRetry(st control.DeployStatus) error {
	if isStopped(st) && len(failedHosts(st)) == 0 {
		return nil
	}
	return resultOf(st)
}

// choices are the commands for a deploy that failures have paused.
func choices(st control.DeployStatus) string {
	d := st.Deploy
	return fmt.Sprintf("crow status %s, then crow retry %s --failed-only, crow resume %s, crow abort %s or crow rollback %s", d, d, d, d, st.App)
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
	if st.PausedBy == "" {
		return ""
	}
	return " by an " + oneLine(st.PausedBy)
}
