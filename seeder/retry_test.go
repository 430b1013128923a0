package seeder

import (
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestRetryOfALateHost: it is not counted, and tries again all the same.
func TestRetryOfALateHost(t *testing.T) {
	d := fleetOf(t, 1)
	first := d.deploys.newest("web")
	d.join("late", nil)
	d.tells("late", first, control.JobReport{Phase: release.Staged}, "")
	d.pass(time.Second)
	d.tells("late", first, control.JobReport{Phase: release.Failed, Reason: "hook"}, "")
	d.must(first.ID, control.Steer{Verb: control.VerbRetry})
	d.wantPhase(first.ID, release.DeployRunning)
	if o := d.fleet.hosts["late"].list[0]; o.Attempt != 1 {
		t.Fatalf("the late host is told %+v", o)
	}
	d.tells("late", first, control.JobReport{Phase: release.Staged, Attempt: 1}, "")
	d.pass(time.Second)
	d.wantGoals("h00 late")
	d.tells("late", first, control.JobReport{Phase: release.Active, Attempt: 1}, "1")
	if r := hostRow(d.shown(first.ID), "late"); r.Phase != release.Active {
		t.Errorf("it is %s", r.Phase)
	}
	d.wantPhase(first.ID, release.DeploySucceeded)
}

// TestRetryOfNothing changes nothing.
func TestRetryOfNothing(t *testing.T) {
	d, made := waved(t, release.Rollout{Waves: halves})
	d.must(made.ID, control.Steer{Verb: control.VerbAbort})
	d.must(made.ID, control.Steer{Verb: control.VerbRetry, FailedOnly: true})
	d.wantPhase(made.ID, release.DeployAborted)
}

// TestRetryOfAReplacedDeploy names what brings its release to the hosts: a deploy, or a
// rollback where they have gone past it.
func TestRetryOfAReplacedDeploy(t *testing.T) {
	d := fleetOf(t, 2)
	first := d.deploys.newest("web")
	second := d.start("web", "2", "name=*")
	d.start("web", "1", "name=*")
	for old, want := range map[*deploy]string{second: "crow deploy web@2", first: "crow deploy web@1"} {
		_, err := d.steered(old.ID, control.Steer{Verb: control.VerbRetry}, "ann", d.now)
		wantCode(t, err, control.CodeEnded)
		if hint := err.(*control.Error).Hint; hint != want {
			t.Errorf("%s: %s", old.ID, hint)
		}
	}
	d.start("web", "2", "name=*")
	_, err := d.steered(first.ID, control.Steer{Verb: control.VerbRetry}, "ann", d.now)
	if hint := err.(*control.Error).Hint; hint != "crow rollback web --to 1" {
		t.Error(hint)
	}
}

// TestRetryWaitsForSilentHosts: one that answers in time goes live as the others did.
func TestRetryWaitsForSilentHosts(t *testing.T) {
	d := fleetOf(t, 2)
	second := d.start("web", "2", "name=*")
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.pass(2 * time.Minute)
	d.wantPhase(second.ID, release.DeployFailed)
	d.must(second.ID, control.Steer{Verb: control.VerbRetry})
	d.pass(4 * time.Second)
	d.wantPhase(second.ID, release.DeployRunning)
	d.tells("h01", second, control.JobReport{Phase: release.Active}, "2")
	d.wantPhase(second.ID, release.DeploySucceeded)
}

// TestRetryOfAHostThatStaysSilent ends as soon as at the deploy's begin.
func TestRetryOfAHostThatStaysSilent(t *testing.T) {
	d := fleetOf(t, 2)
	second := d.start("web", "2", "name=*")
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.pass(2 * time.Minute)
	d.must(second.ID, control.Steer{Verb: control.VerbRetry})
	d.pass(6 * time.Second)
	d.wantPhase(second.ID, release.DeployFailed)
}
