package seeder

import (
	"fmt"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// fleetOf is a fleet of n hosts h00, h01, ... and releases 1 and 2 of web; all hosts run 1.
func fleetOf(t *testing.T, n int) *desk {
	d := newDesk(t, t.TempDir())
	for i := range n {
		d.join(fmt.Sprintf("h%02d", i), nil)
	}
	d.make("web", "1")
	d.make("web", "2")
	first := d.start("web", "1", "name=*")
	for i := range n {
		d.tells(fmt.Sprintf("h%02d", i), first, control.JobReport{Phase: release.Active}, "1")
	}
	d.wantPhase(first.ID, release.DeploySucceeded)
	return d
}

// tells delivers a host's report on a deploy, whatever its order is now.
func (d *desk) tells(host string, made *deploy, j control.JobReport, running string) {
	d.t.Helper()
	d.seq[host]++
	j.Deploy, j.App, j.Version = made.ID, made.Manifest.App, made.Manifest.Version
	r := control.Report{Host: host, Boot: "boot-" + host, Seq: d.seq[host], Jobs: []control.JobReport{j}}
	if running != "" {
		r.Running = map[string]string{j.App: running}
	}
	if _, err := d.report(r, d.now); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) startAs(how release.Rollout, version string, targets ...release.Expr) *deploy {
	d.t.Helper()
	req := request("web", version, targets...)
	req.Rollout = how
	made, err := d.deploy(req, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	return made
}

// TestSupersededHalfwayIsNobodysOrder: hosts that a superseded deploy had not got have
// what they had before, whichever of them was looked at first.
func TestSupersededHalfwayIsNobodysOrder(t *testing.T) {
	const hosts = 12
	d := fleetOf(t, hosts)
	first := d.deploys.newest("web")
	d.startAs(release.Rollout{Waves: halves}, "2", "name=*")
	next := d.start("web", "2", "name=h07")
	for i := range hosts {
		name, want := fmt.Sprintf("h%02d", i), first.ID
		if name == "h07" {
			want = next.ID
		}
		if got := d.orderOf(name, "web"); got != want {
			t.Errorf("%s has the order %s, want %s", name, got, want)
		}
		if o := d.fleet.hosts[name].list[0]; o.Deploy != want {
			t.Errorf("%s is told %s, want %s", name, o.Deploy, want)
		}
	}
}

// TestWhoWasLetGoesOnWhenSuperseded: a deploy that had let everybody go stays in force
// for the hosts that the newer one is not for.
func TestWhoWasLetGoesOnWhenSuperseded(t *testing.T) {
	d := fleetOf(t, 30)
	second := d.start("web", "2", "name=*")
	d.start("web", "1", "name=h07")
	for _, h := range d.fleet.sorted() {
		if h.Name == "h07" {
			continue
		}
		if o := h.orderList()[0]; o.Deploy != second.ID || o.Goal != control.GoalActivate {
			t.Fatalf("%s is told %s of %s", h.Name, o.Goal, o.Deploy)
		}
	}
}

// TestWordOfGoingLiveAfterTheEnd: the deploy is what a host has that had begun before it
// heard of the end, also where nobody else had.
func TestWordOfGoingLiveAfterTheEnd(t *testing.T) {
	d := fleetOf(t, 2)
	second := d.start("web", "2", "name=*")
	d.tells("h00", second, control.JobReport{Phase: release.Staged}, "1")
	d.must(second.ID, control.Steer{Verb: control.VerbAbort})
	d.tells("h00", second, control.JobReport{Phase: release.Activating}, "2")
	if got := d.orderOf("h00", "web"); got != second.ID {
		t.Errorf("h00, which goes live, has the order %s, want %s", got, second.ID)
	}
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.pass(5 * time.Second)
	d.reopen()
	if got := d.orderOf("h00", "web"); got != second.ID {
		t.Errorf("after a restart h00 has the order %s, want %s", got, second.ID)
	}
	if got := hostRow(d.shown(second.ID), "h00").Phase; got != release.Active {
		t.Errorf("its row is %s", got)
	}
}

// TestLiveByItsCheck: a host without a hook whose check failed has the release live.
func TestLiveByItsCheck(t *testing.T) {
	d := fleetOf(t, 2)
	second := d.start("web", "2", "name=*")
	d.tells("h00", second, control.JobReport{Phase: release.Failed, Reason: "check", Check: &control.HookResult{Exit: 1}}, "2")
	d.tells("h01", second, control.JobReport{Phase: release.Failed, Reason: "activate: disk full"}, "2")
	for _, name := range []string{"h00", "h01"} {
		if !second.rows[name].Live {
			t.Errorf("%s does not count as live", name)
		}
	}
}
