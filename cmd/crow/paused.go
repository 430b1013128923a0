package main

import (
	"fmt"

	"crow/internal/control"
	"crow/internal/release"
)

func isPaused(st control.DeployStatus) bool { return st.Phase == release.DeployPaused }

// isStopped reports whether failures have paused a deploy: then nothing goes on
// until somebody decides, and who follows it is to be told at once.
func isStopped(st control.DeployStatus) bool {
	return isPaused(st) && st.PausedBy == control.PausedByFailures
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

// choices are the commands for a deploy that failures have paused.
func choices(st control.DeployStatus) string {
	d := st.Deploy
	return fmt.Sprintf("crow status %s, then crow retry %s --failed-only, crow resume %s, crow abort %s or crow rollback %s", d, d, d, d, st.App)
}

// turnOf is what to tell of a deploy that somebody pauses or lets go on while it is
// followed; empty is nothing.
func turnOf(prev, next control.DeployStatus) string {
	switch {
	case isPaused(next) && !isPaused(prev) && !isStopped(next):
		return fmt.Sprintf("deploy %s is paused%s: waiting for crow resume %s", next.Deploy, because(next), next.Deploy)
	case isPaused(prev) && !isPaused(next) && !next.Phase.Ended():
		return fmt.Sprintf("deploy %s goes on", next.Deploy)
	}
	return ""
}

func because(st control.DeployStatus) string {
	switch {
	case st.Reason != "":
		return " (" + clip(oneLine(st.Reason), maxNote) + ")"
	case st.PausedBy != "":
		return " by an " + oneLine(st.PausedBy)
	}
	return ""
}
