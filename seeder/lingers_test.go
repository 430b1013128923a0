package seeder

import (
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// tellsBoth delivers what an agent says whose hook runs by the order before: it speaks of
// both.
func (d *desk) tellsBoth(host string, old, made *deploy, running string) {
	d.t.Helper()
	d.seq[host]++
	job := func(of *deploy, p release.Phase) control.JobReport {
		return control.JobReport{Deploy: of.ID, App: "web", Version: of.Manifest.Version, Phase: p}
	}
	must[control.Receipt](d.t)(d.report(control.Report{
		Host: host, Boot: "boot-" + host, Seq: d.seq[host], Running: map[string]string{"web": running},
		Jobs: []control.JobReport{job(old, release.Activating), job(made, release.Pending)},
	}, d.now))
}

// hookFails is how a host fails whose link is set.
var hookFails = control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}

// lateHook is a way back at one host a time, of h00, while the hook of late runs by the
// deploy that failed, which did not count it.
func lateHook(t *testing.T) (d *desk, second, back *deploy) {
	d = fleetOf(t, 2)
	d.pass(d.pace.hold())
	second, err := d.goesBackAs(release.Rollout{HostsAtOnce: 1}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	d.join("late", nil)
	d.tells("late", second, control.JobReport{Phase: release.Activating}, "2")
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "1")
	}
	d.tells("h00", second, hookFails, "2")
	back = d.deploys.byID[d.wantPhase(second.ID, release.DeployFailed).Fallback]
	d.tells("h00", back, control.JobReport{Phase: release.Staged}, "2")
	return d, second, back
}

// TestFallbackWaitsForLateHooks: the hook of a host that came late goes on while the fleet
// goes back.
func TestFallbackWaitsForLateHooks(t *testing.T) {
	d, second, back := lateHook(t)
	d.wantGoals("")
	d.tellsBoth("late", second, back, "2")
	d.pass(time.Second)
	d.wantGoals("")
	if waits := d.shown(back.ID).WaitsFor; !strings.Contains(waits, "1 of 1 places are taken by hosts outside the count") {
		t.Errorf("it waits for %q", waits)
	}
	d.tells("late", back, control.JobReport{Phase: release.Staged}, "2")
	d.pass(time.Second)
	d.wantGoals("h00")
}

// TestNobodyLingersForEver: a host that polls and never says what it is at is waited for
// no longer than any hook may take.
func TestNobodyLingersForEver(t *testing.T) {
	d, _, _ := lateHook(t)
	for range 361 {
		d.now = d.now.Add(10 * time.Second)
		for _, name := range []string{"h00", "late"} {
			d.fleet.heard(d.fleet.hosts[name], d.now)
		}
		d.tick(d.now)
	}
	d.wantGoals("h00")
}

// TestToldAndNeverBegun: hosts that are told, are there and do not begin fail after their
// time, one after the other.
func TestToldAndNeverBegun(t *testing.T) {
	d := fleetOf(t, 3)
	second := d.startAs(release.Rollout{HostsAtOnce: 1, MaxFailures: share("100%")}, "2", "name=*")
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "1")
	}
	for range 3*360 + 3 {
		d.now = d.now.Add(10 * time.Second)
		for _, name := range second.Hosts {
			d.fleet.heard(d.fleet.hosts[name], d.now)
		}
		d.tick(d.now)
	}
	if s := d.shown(second.ID); !s.Phase.Ended() {
		t.Errorf("it is %s, and waits for %s", s.Phase, s.WaitsFor)
	}
}

// TestFallbackLeavesThoseThatFetch: they did not go live, and one of them that is gone must
// not make the way back fail.
func TestFallbackLeavesThoseThatFetch(t *testing.T) {
	d := fleetOf(t, 4)
	second, err := d.goesBackAs(release.Rollout{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.tells("h01", second, control.JobReport{Phase: release.Fetching}, "1")
	d.tells("h02", second, control.JobReport{Phase: release.Staged}, "1") // and told to go live
	d.tells("h03", second, hookFails, "2")
	back := d.deploys.byID[d.wantPhase(second.ID, release.DeployFailed).Fallback]
	if back == nil || strings.Join(back.Hosts, " ") != "h00 h02 h03" {
		t.Errorf("the way back is %+v, want h00, h02 and h03", back)
	}
}

// TestFallbackOfWhoWasTold: also where nobody is known to be live.
func TestFallbackOfWhoWasTold(t *testing.T) {
	d := fleetOf(t, 3)
	second, err := d.goesBackAs(release.Rollout{HostsAtOnce: 2}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "1")
	}
	d.wantGoals("h00 h01")
	d.tells("h00", second, control.JobReport{Phase: release.Failed, Reason: "disk"}, "1")
	back := d.deploys.byID[d.wantPhase(second.ID, release.DeployFailed).Fallback]
	if back == nil || strings.Join(back.Hosts, " ") != "h01" {
		t.Errorf("the way back is %+v, want h01", back)
	}
}

// TestMoreLingerThanMay: a host that is told by its new order keeps its place when it
// speaks of it, whoever lingers beside it.
func TestMoreLingerThanMay(t *testing.T) {
	d := fleetOf(t, 4)
	d.make("web", "3")
	second := d.startAs(release.Rollout{HostsAtOnce: 3}, "2", "name=*")
	for _, name := range []string{"h00", "h01", "h02"} {
		d.tells(name, second, control.JobReport{Phase: release.Activating}, "2")
	}
	third := d.startAs(release.Rollout{HostsAtOnce: 1, MaxFailures: share("100%")}, "3", "name=*")
	d.wantGoals("h00")
	d.tells("h00", third, control.JobReport{Phase: release.Staged}, "2")
	d.tells("h03", third, control.JobReport{Phase: release.Staged}, "1")
	d.pass(time.Second)
	d.wantGoals("h00")
	d.tells("h00", third, control.JobReport{Phase: release.Active}, "3")
	d.tellsBoth("h02", second, third, "2")
	d.wantGoals("h00 h01")
}
