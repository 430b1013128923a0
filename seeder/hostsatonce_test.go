package seeder

import (
	"fmt"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestHostsAtOnceHoldsForARetry: hosts that were live and failed take their turns again.
func TestHostsAtOnceHoldsForARetry(t *testing.T) {
	d := fleetOf(t, 6)
	second := d.startAs(release.Rollout{HostsAtOnce: 2, MaxFailures: share("100%")}, "2", "name=*")
	for i := range 6 {
		d.tells(fmt.Sprintf("h%02d", i), second, control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}, "2")
	}
	d.must(second.ID, control.Steer{Verb: control.VerbRetry})
	d.wantGoals("h00 h01")
	d.tells("h00", second, control.JobReport{Phase: release.Activating, Attempt: 1}, "2")
	d.wantGoals("h00 h01")
	d.tells("h00", second, control.JobReport{Phase: release.Active, Attempt: 1}, "2")
	d.wantGoals("h00 h01 h02")
}

// TestHostsAtOnceHoldsForARackThatComesBack: who was silent before its turn takes it
// when it is back, and who was told to go live while another was silent keeps its own.
func TestHostsAtOnceHoldsForARackThatComesBack(t *testing.T) {
	d := fleetOf(t, 6)
	second := d.startAs(release.Rollout{HostsAtOnce: 2, MaxFailures: share("100%")}, "2", "name=*")
	d.wantGoals("h00 h01")
	for range 9 { // h05 alone is there
		d.now = d.now.Add(10 * time.Second)
		d.tells("h05", second, control.JobReport{Phase: release.Staged}, "1")
		d.tick(d.now)
	}
	d.wantGoals("h05") // the first two were told before, and have lost their places
	for i := range 5 {
		d.tells(fmt.Sprintf("h%02d", i), second, control.JobReport{Phase: release.Staged}, "1")
	}
	d.pass(time.Second)
	if goals := d.goals(); len(goals) != 2 || goals[1] != "h05" {
		t.Errorf("when the rack is back these may go live: %v, want h05 and one more", goals)
	}
	for i := range 6 {
		d.tells(fmt.Sprintf("h%02d", i), second, control.JobReport{Phase: release.Active}, "2")
	}
	d.wantPhase(second.ID, release.DeploySucceeded)
}

// TestHostsThatWereOffCatchUpWithHostsAtOnce: a deploy that had a turn for everybody
// stays in force for hosts that missed theirs.
func TestHostsThatWereOffCatchUpWithHostsAtOnce(t *testing.T) {
	d := fleetOf(t, 4)
	second := d.startAs(release.Rollout{HostsAtOnce: 1, MaxFailures: share("100%")}, "2", "name=*")
	for _, phase := range []release.Phase{release.Staged, release.Active} {
		d.now = d.now.Add(50 * time.Second)
		d.tells("h03", second, control.JobReport{Phase: phase}, "1")
		d.tick(d.now)
	}
	d.pass(2 * time.Minute)
	d.wantPhase(second.ID, release.DeploySucceeded)
	d.reopen()
	if got := d.orderOf("h02", "web"); got != second.ID {
		t.Errorf("h02, which was off, has the order %s, want %s", got, second.ID)
	}
}

// TestHostsAtOnceHoldsForLateHosts: a host that came later keeps its place while its hook
// runs, whoever else waits.
func TestHostsAtOnceHoldsForLateHosts(t *testing.T) {
	d := fleetOf(t, 2)
	d.pass(d.pace.hold())
	second := d.startAs(release.Rollout{HostsAtOnce: 1, MaxFailures: share("100%")}, "2", "name=*")
	late := func(name string, phase release.Phase, running string) {
		d.tells(name, second, control.JobReport{Phase: phase}, running)
		d.pass(time.Second)
	}
	for _, name := range []string{"late0", "late1"} {
		d.join(name, nil)
		late(name, release.Staged, "")
	}
	d.wantGoals("h00") // those that count come first
	d.tells("h00", second, control.JobReport{Phase: release.Failed, Reason: "disk"}, "1")
	d.pass(time.Second)
	d.wantGoals("h00 h01") // h00 has had its turn
	d.tells("h01", second, control.JobReport{Phase: release.Active}, "2")
	d.wantPhase(second.ID, release.DeploySucceeded)
	d.pass(time.Second)
	d.wantGoals("h01 late0")
	late("late0", release.Activating, "2")
	d.wantGoals("h01 late0")
	d.must(second.ID, control.Steer{Verb: control.VerbRetry})
	d.tells("h00", second, control.JobReport{Phase: release.Staged, Attempt: 1}, "1")
	d.pass(time.Second)
	d.wantGoals("h01 late0") // h00 waits for a late one
	late("late0", release.Active, "2")
	d.wantGoals("h00 h01 late0")
	d.tells("h00", second, control.JobReport{Phase: release.Active, Attempt: 1}, "2")
	d.pass(time.Second)
	d.wantGoals("h00 h01 late0 late1")
}

// TestHostsInstalledAnewWaitForLeave: that they were live once lets them not go at once.
func TestHostsInstalledAnewWaitForLeave(t *testing.T) {
	d := fleetOf(t, 3)
	d.pass(d.pace.hold())
	second := d.startAs(release.Rollout{HostsAtOnce: 1, MaxFailures: share("100%")}, "2", "name=*")
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Active}, "2")
	}
	d.wantPhase(second.ID, release.DeploySucceeded)
	for _, name := range second.Hosts {
		hello := helloOf(name, nil)
		hello.Boot = "boot-" + name + "-2"
		if err := d.hello(name, hello, d.now); err != nil {
			t.Fatal(err)
		}
		d.seq[name]++
		j := control.JobReport{Deploy: second.ID, App: "web", Version: "2", Phase: release.Staged}
		if _, err := d.report(control.Report{Host: name, Boot: hello.Boot, Seq: d.seq[name], Jobs: []control.JobReport{j}}, d.now); err != nil {
			t.Fatal(err)
		}
	}
	d.wantGoals("")
	d.pass(time.Second)
	d.wantGoals("h00")
}

// lateOnes is a deploy to one host at a time which has ended, and that two late hosts wait
// for: late0 has leave.
func lateOnes(t *testing.T) (*desk, *deploy) {
	d := fleetOf(t, 1)
	second := d.startAs(release.Rollout{HostsAtOnce: 1}, "2", "name=*")
	for _, name := range []string{"late0", "late1"} {
		d.join(name, nil)
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "")
	}
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.pass(time.Minute / 2)
	d.wantGoals("h00 late0")
	return d, second
}

// TestLeaveOutlivesAnAgent: one that begins anew follows the order on its disk. Whether it
// can is known with its first report.
func TestLeaveOutlivesAnAgent(t *testing.T) {
	for first, want := range map[release.Phase]string{
		release.Activating: "h00 late0", release.Staged: "h00 late0", release.Pending: "h00 late1", release.Fetching: "h00 late1",
	} {
		d, second := lateOnes(t)
		hello := helloOf("late0", nil)
		hello.Boot += "+"
		if err := d.hello("late0", hello, d.now); err != nil {
			t.Fatal(err)
		}
		d.pass(2 * time.Second)
		d.wantGoals("h00 late0")
		j := control.JobReport{Deploy: second.ID, App: "web", Version: "2", Phase: first}
		must[control.Receipt](t)(d.report(control.Report{Host: "late0", Boot: hello.Boot, Seq: 1, Jobs: []control.JobReport{j}}, d.now))
		d.pass(2 * time.Second)
		d.wantGoals(want)
	}
}

// TestLeaveAfterARestart: who was given leave by the seeder before it may be using it, and
// is heard before others get it.
func TestLeaveAfterARestart(t *testing.T) {
	d, second := lateOnes(t)
	d.reopen()
	d.tells("late1", second, control.JobReport{Phase: release.Staged}, "")
	d.pass(d.pace.hold() - time.Second)
	d.wantGoals("h00")
	d.tells("late0", second, control.JobReport{Phase: release.Activating}, "2")
	d.pass(time.Minute / 2)
	d.wantGoals("h00 late0")
	d.tells("late0", second, control.JobReport{Phase: release.Active}, "2")
	d.pass(time.Second)
	d.wantGoals("h00 late0 late1")
}

// TestLateHostsThatFailedWaitForLeave: their link leads to the release already, but what
// a retry has them do takes them down once more.
func TestLateHostsThatFailedWaitForLeave(t *testing.T) {
	d, second := lateOnes(t)
	d.tells("late0", second, hookFails, "2")
	d.pass(time.Second)
	d.wantGoals("h00 late0 late1")
	d.tells("late1", second, hookFails, "2")
	d.must(second.ID, control.Steer{Verb: control.VerbRetry})
	d.wantGoals("h00")
	for _, name := range []string{"late0", "late1"} {
		d.tells(name, second, control.JobReport{Phase: release.Staged, Attempt: 1}, "2")
	}
	d.pass(time.Second)
	d.wantGoals("h00 late0")
	d.tells("late0", second, control.JobReport{Phase: release.Active, Attempt: 1}, "2")
	d.pass(time.Second)
	d.wantGoals("h00 late0 late1")
}

// TestHooksOfAnEarlierDeployTakePlaces: the hosts that a superseded deploy took down are
// among those that may be at once, until they speak of the new one.
func TestHooksOfAnEarlierDeployTakePlaces(t *testing.T) {
	d := fleetOf(t, 4)
	d.make("web", "3")
	second := d.startAs(release.Rollout{HostsAtOnce: 2}, "2", "name=*")
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "1")
	}
	d.tells("h00", second, control.JobReport{Phase: release.Activating}, "2")
	d.wantGoals("h00 h01") // h01 was told, and has not said that it began
	third := d.startAs(release.Rollout{HostsAtOnce: 2, MaxFailures: share("100%")}, "3", "name=*")
	for _, name := range []string{"h02", "h03"} {
		d.tells(name, third, control.JobReport{Phase: release.Staged}, "1")
	}
	d.wantGoals("h00 h01")
	d.tells("h01", third, control.JobReport{Phase: release.Failed, Reason: "disk"}, "1")
	d.wantGoals("h00 h01 h02") // h01 has had its turn
	d.tells("h02", third, control.JobReport{Phase: release.Active}, "3")
	d.tells("h00", second, control.JobReport{Phase: release.Activating}, "2")
	d.wantGoals("h00 h01 h02 h03")
}

// TestFallbackCountsHooksThatItDoesNotSee: of hosts that came late, and of those that
// were told to go live just now.
func TestFallbackCountsHooksThatItDoesNotSee(t *testing.T) {
	d := fleetOf(t, 4)
	d.pass(d.pace.hold())
	second, err := d.goesBackAs(release.Rollout{HostsAtOnce: 2}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "1")
	}
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.tells("h01", second, control.JobReport{Phase: release.Active}, "2")
	d.wantGoals("h00 h01 h02 h03")
	d.tells("h02", second, control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}, "2")
	s := d.wantPhase(second.ID, release.DeployFailed)
	back := d.deploys.byID[s.Fallback]
	if back == nil || len(back.Hosts) != 4 {
		t.Fatalf("the way back is %+v, want h03 too", back)
	}
	d.wantGoals("h02 h03") // h02 is down, and h03 may be
	d.tells("h03", second, control.JobReport{Phase: release.Activating}, "2")
	d.wantGoals("h02 h03")
	d.tells("h03", back, control.JobReport{Phase: release.Active}, "1")
	d.wantGoals("h00 h02 h03")
}
