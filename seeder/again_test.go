package seeder

import (
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestRetryWaitsForLateHosts: who has a host try again that joined late waits for it,
// although the deploy does not count it, and nobody calls it well meanwhile.
func TestRetryWaitsForLateHosts(t *testing.T) {
	d, second := lateOnes(t)
	d.tells("late0", second, hookFails, "2")
	d.must(second.ID, control.Steer{Verb: control.VerbRetry, FailedOnly: true})
	s := d.wantPhase(second.ID, release.DeployRunning)
	if !strings.Contains(s.WaitsFor, "late0") {
		t.Errorf("it waits for %q, want late0", s.WaitsFor)
	}
	d.tells("late0", second, control.JobReport{Phase: release.Staged, Attempt: 1}, "2")
	app, err := d.app("web", d.now)
	if err != nil || app.Hosts[1].Name != "late0" || app.Hosts[1].Drift == "" {
		t.Errorf("of late0 it says %+v, %v", app.Hosts, err)
	}
	again := hookFails
	again.Attempt = 1
	d.tells("late0", second, again, "2")
	d.wantPhase(second.ID, release.DeploySucceeded)
}

// TestForgottenHostThatIsBack is one that was off: it catches up, and may try again.
func TestForgottenHostThatIsBack(t *testing.T) {
	d := fleetOf(t, 2)
	second := d.start("web", "2", "name=*")
	d.leave("h01")
	if _, err := d.forget("h01", d.now); err != nil {
		t.Fatal(err)
	}
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.wantPhase(second.ID, release.DeploySucceeded)
	d.join("h01", nil)
	d.seq["h01"] = 0
	d.tells("h01", second, hookFails, "2")
	if row := d.shown(second.ID).Hosts[1]; row.Phase != release.Failed || row.Reason != "hook" {
		t.Errorf("its row is %+v, want its own failure", row)
	}
	d.must(second.ID, control.Steer{Verb: control.VerbRetry})
	d.pass(time.Second)
	if row := d.shown(second.ID).Hosts[1]; row.Attempt != 1 {
		t.Errorf("after a retry its row is %+v, want attempt 1", row)
	}
}
