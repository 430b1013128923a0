package seeder

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// waved begins a deploy to hosts h0 to h3 in two waves of two, all of whom have it
// staged.
func waved(t *testing.T, how release.Rollout) (*desk, *deploy) {
	d := newDesk(t, t.TempDir())
	for i := range 4 {
		d.join(fmt.Sprintf("h%d", i), nil)
	}
	d.make("web", "1")
	d.make("web", "2")
	req := request("web", "2", "name=*")
	req.Rollout = how
	made, err := d.deploy(req, d.now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		d.say(fmt.Sprintf("h%d", i), made, release.Staged, "")
	}
	return d, made
}

// goals are which hosts are told to go live.
func (d *desk) goals() (live []string) {
	for _, h := range d.fleet.sorted() {
		for _, o := range h.list {
			if o.Goal == control.GoalActivate {
				live = append(live, h.Name)
			}
		}
	}
	return live
}

func (d *desk) wantGoals(want string) {
	d.t.Helper()
	if got := fmt.Sprint(d.goals()); got != "["+want+"]" {
		d.t.Fatalf("hosts that may go live: %s, want [%s]", got, want)
	}
}

func (d *desk) must(id string, s control.Steer) control.DeployStatus {
	d.t.Helper()
	status, err := d.steered(id, s, "op", d.now)
	if err != nil {
		d.t.Fatalf("%s: %v", s.Verb, err)
	}
	return status
}

func TestAFailurePausesAndResumeLetsItPass(t *testing.T) {
	d, made := waved(t, release.Rollout{Waves: halves})
	d.wantGoals("h0 h1")
	d.say("h0", made, release.Active, "")
	d.say("h1", made, release.Failed, "hook exited 42")
	s := d.wantPhase(made.ID, release.DeployPaused)
	if s.PausedBy != "failures" || s.Waves[0].State != control.WaveEnded || s.Waves[1].State != control.WaveWaiting {
		t.Errorf("paused by %q, waves %+v", s.PausedBy, s.Waves)
	}
	d.reopen()
	d.pass(time.Second)
	d.wantPhase(made.ID, release.DeployPaused)
	d.must(made.ID, control.Steer{Verb: control.VerbResume})
	d.reopen()
	d.pass(time.Second)
	made = d.deploys.byID[made.ID]
	d.wantPhase(made.ID, release.DeployRunning)
	d.wantGoals("h0 h1 h2 h3")
	d.say("h2", made, release.Active, "")
	d.say("h3", made, release.Active, "")
	d.wantPhase(made.ID, release.DeployFailed) // one failure, and none was allowed
}

func TestRetry(t *testing.T) {
	d, made := waved(t, release.Rollout{Waves: halves})
	d.say("h0", made, release.Active, "")
	d.say("h1", made, release.Failed, "hook exited 42")
	d.must(made.ID, control.Steer{Verb: control.VerbRetry, FailedOnly: true})
	if o := d.fleet.hosts["h1"].list[0]; o.Attempt != 1 || o.Goal != control.GoalActivate {
		t.Fatalf("h1 is told %+v", o)
	}
	d.wantGoals("h0 h1")
	again := control.JobReport{Deploy: made.ID, App: "web", Version: "2", Phase: release.Active, Attempt: 1}
	d.seq["h1"]++
	if _, err := d.report(control.Report{Host: "h1", Boot: "boot-h1", Seq: d.seq["h1"], Jobs: []control.JobReport{again}}, d.now); err != nil {
		t.Fatal(err)
	}
	d.wantPhase(made.ID, release.DeployPaused) // only those that failed were meant
	d.must(made.ID, control.Steer{Verb: control.VerbRetry})
	d.wantGoals("h0 h1 h2 h3")
	d.say("h2", made, release.Active, "")
	d.say("h3", made, release.Failed, "why")
	d.wantPhase(made.ID, release.DeployFailed)
	d.must(made.ID, control.Steer{Verb: control.VerbRetry})
	d.wantPhase(made.ID, release.DeployRunning)
}

func TestAbort(t *testing.T) {
	d, made := waved(t, release.Rollout{Waves: halves})
	d.say("h0", made, release.Active, "")
	d.must(made.ID, control.Steer{Verb: control.VerbAbort})
	d.must(made.ID, control.Steer{Verb: control.VerbAbort}) // is so already
	d.wantPhase(made.ID, release.DeployAborted)
	d.wantGoals("h0")
	if got := d.orderOf("h2", "web"); got != "" {
		t.Errorf("h2, whose turn had not come, has the order %s", got)
	}
	// h1 had begun before it heard: the deploy is what it has.
	d.say("h1", &deploy{plan: made.plan}, release.Active, "")
	if got := d.orderOf("h1", "web"); got != made.ID {
		t.Errorf("h1, which is live, has the order %q", got)
	}
	d.reopen()
	if d.orderOf("h0", "web") != made.ID || d.orderOf("h2", "web") != "" {
		t.Errorf("after a restart h0 has %q, h2 %q", d.orderOf("h0", "web"), d.orderOf("h2", "web"))
	}
	_, err := d.steered(made.ID, control.Steer{Verb: control.VerbResume}, "op", d.now)
	wantCode(t, err, control.CodeEnded)
	d.must(made.ID, control.Steer{Verb: control.VerbRetry})
	d.wantPhase(made.ID, release.DeployRunning)
	if d.orderOf("h2", "web") != made.ID {
		t.Error("h2 has no order after the retry")
	}
}

func TestRollbackOnFailure(t *testing.T) {
	d := newDesk(t, t.TempDir())
	for i := range 4 {
		d.join(fmt.Sprintf("h%d", i), nil)
	}
	d.make("web", "1")
	d.make("web", "2")
	first := d.start("web", "1", "name=*")
	for i := range 4 {
		d.say(fmt.Sprintf("h%d", i), first, release.Active, "")
	}
	req := request("web", "2", "name=*")
	req.Rollout = release.Rollout{Waves: halves, OnFailure: release.OnFailureRollback}
	_, err := d.deploy(req, d.now)
	wantCode(t, err, control.CodeUsage)
	one := d.catalog.find(release.Ref{App: "web", Version: "1"})
	req.Fallback = &control.Rollback{Statement: release.RollbackTo(one.Manifest, 2, d.now, time.Time{})}
	second, err := d.deploy(req, d.now)
	if err != nil {
		t.Fatal(err)
	}
	req.Fallback = &control.Rollback{Statement: release.RollbackTo(one.Manifest, 3, d.now.Add(time.Second), time.Time{})}
	if again, err := d.deploy(req, d.now); err != nil || again != second {
		t.Errorf("asked for twice, with a statement of its own each time, it is %v, %v", again, err)
	}
	for i := range 4 {
		d.say(fmt.Sprintf("h%d", i), second, release.Staged, "")
	}
	d.say("h0", second, release.Active, "")
	failed := jobOf(second.order(d.fleet.hosts["h1"]), release.Failed, "hook exited 42")
	failed.Hook = &control.HookResult{Exit: 42}
	d.seq["h1"]++
	if _, err := d.report(control.Report{Host: "h1", Boot: "boot-h1", Seq: d.seq["h1"], Jobs: []control.JobReport{failed}}, d.now); err != nil {
		t.Fatal(err)
	}
	s := d.wantPhase(second.ID, release.DeployFailed)
	back := d.wantPhase(s.Fallback, release.DeployRunning)
	if back.Version != "1" || len(back.Hosts) != 4 || hostRow(back, "h1").Late || !hostRow(back, "h2").Late {
		t.Errorf("the way back: %s to %+v", back.Version, back.Hosts)
	}
	if o := d.fleet.hosts["h1"].list[0]; o.Deploy != s.Fallback || o.Goal != control.GoalActivate || o.Rollback == nil {
		t.Errorf("h1 is told %+v", o)
	}
	_, err = d.steered(second.ID, control.Steer{Verb: control.VerbRetry}, "op", d.now)
	wantCode(t, err, control.CodeEnded)
}

func TestHostsCatchUpAFewAtATime(t *testing.T) {
	const late = 25
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.say("a", made, release.Active, "")
	for i := range late {
		name := fmt.Sprintf("late-%02d", i)
		d.join(name, nil)
		d.say(name, made, release.Staged, "")
	}
	live := map[string]bool{"a": true}
	for rounds := 0; len(live) <= late; rounds++ {
		d.pass(time.Second)
		more := 0
		for _, name := range d.goals() {
			if live[name] {
				continue
			}
			more++
			live[name] = true
			d.seq[name]++
			j := jobOf(made.order(d.fleet.hosts[name]), release.Active, "")
			r := control.Report{Host: name, Boot: "boot-" + name, Seq: d.seq[name], Jobs: []control.JobReport{j}, Running: map[string]string{"web": "1"}}
			if _, err := d.report(r, d.now); err != nil {
				t.Fatal(err)
			}
		}
		if more > minCatchUp || rounds > late {
			t.Fatalf("%d hosts catch up at once, in round %d", more, rounds)
		}
	}
	app, err := d.app("web", d.now)
	if err != nil || len(app.Hosts) != late+1 || app.Hosts[5].Drift != "" {
		t.Errorf("who runs what: %+v, %v", app, err)
	}
}

func TestForget(t *testing.T) {
	d, made := waved(t, release.Rollout{})
	_, err := d.forget("h3", d.now)
	wantCode(t, err, control.CodeUsage)
	d.leave("h3")
	if _, err := d.forget("h3", d.now); err != nil {
		t.Fatal(err)
	}
	if r := hostRow(d.shown(made.ID), "h3"); r.Phase != release.Failed || !strings.Contains(r.Reason, "does not count") {
		t.Errorf("its row: %+v", r)
	}
	for i := range 3 {
		d.say(fmt.Sprintf("h%d", i), made, release.Active, "")
	}
	d.wantPhase(made.ID, release.DeploySucceeded)
	d.reopen()
	if d.fleet.hosts["h3"] != nil {
		t.Error("it is known again after a restart")
	}
}

// What a host comes to after its deploy's end shows: also that it was installed anew
// and then failed, and how it fared that was in its hook when another deploy came.
func TestRowsFollowAfterTheEnd(t *testing.T) {
	d, made := waved(t, release.Rollout{})
	for i := range 4 {
		d.say(fmt.Sprintf("h%d", i), made, release.Active, "")
	}
	d.say("h1", made, release.Failed, "hook: exited with status 9")
	s := d.wantPhase(made.ID, release.DeploySucceeded)
	if r := hostRow(s, "h1"); r.Phase != release.Failed || !strings.Contains(r.Reason, "status 9") {
		t.Errorf("its row: %+v", r)
	}
	app, err := d.app("web", d.now)
	if err != nil || !strings.Contains(app.Hosts[1].Drift, "status 9") {
		t.Errorf("who runs what: %+v, %v", app, err)
	}
	d.must(made.ID, control.Steer{Verb: control.VerbRetry})
	if o := d.fleet.hosts["h1"].list[0]; o.Attempt != 1 || o.Goal != control.GoalActivate {
		t.Errorf("h1 is told %+v", o)
	}
	d.say("h1", made, release.Activating, "")
	d.make("web", "3")
	d.start("web", "3", "name=*")
	last := control.JobReport{Deploy: made.ID, App: "web", Version: "2", Phase: release.Active, Attempt: 1}
	d.seq["h1"]++
	if _, err := d.report(control.Report{Host: "h1", Boot: "boot-h1", Seq: d.seq["h1"], Jobs: []control.JobReport{last}}, d.now); err != nil {
		t.Fatal(err)
	}
	if r := hostRow(d.wantPhase(made.ID, release.DeploySuperseded), "h1"); r.Phase != release.Active {
		t.Errorf("h1, which was superseded in its hook, is %s in the end", r.Phase)
	}
}

func TestReleaseInUseStays(t *testing.T) {
	d, _ := waved(t, release.Rollout{})
	_, err := d.remove(release.Ref{App: "web", Version: "2"}, false)
	wantCode(t, err, control.CodeRefused)
	one := release.Ref{App: "web", Version: "1"}
	if gone, err := d.remove(one, true); err != nil || gone.Bytes != 100 || d.catalog.find(one) == nil {
		t.Errorf("dry run: %+v, %v", gone, err)
	}
	if _, err := d.remove(one, false); err != nil || d.catalog.find(one) != nil {
		t.Errorf("removed: %v", err)
	}
	if _, err := d.dir.GetDoc(kindRelease, one.String()); err == nil {
		t.Error("its document is there")
	}
}

// A release that the next host to come is to run stays, although nobody runs it now.
func TestReleaseOfAStandingOrderStays(t *testing.T) {
	d := fleetOf(t, 3)
	for _, version := range []string{"3", "4", "5", "6"} {
		d.make("web", version)
	}
	live := func(version string, excludes []release.Expr, targets ...release.Expr) {
		req := request("web", version, targets...)
		req.Excludes = excludes
		made := must[*deploy](t)(d.deploy(req, d.now))
		for _, name := range made.Hosts {
			d.tells(name, made, control.JobReport{Phase: release.Active}, version)
		}
		d.wantPhase(made.ID, release.DeploySucceeded)
	}
	kept := func(versions ...string) {
		t.Helper()
		for _, version := range []string{"1", "2", "3", "4", "5"} {
			_, err := d.remove(release.Ref{App: "web", Version: version}, true)
			if want := slices.Contains(versions, version); want != (err != nil) {
				t.Errorf("web@%s: %v, want it kept: %t", version, err, want)
			}
		}
	}
	live("2", nil, "name=h*")
	live("3", nil, "name=h00") // of that host it is known what it is to run
	live("4", nil, "name=h0?")
	kept("1", "2", "3", "4") // 1 is for all that are no h, and from 4 hosts would go back to 3
	live("5", []release.Expr{"name=h02"}, "name=h*")
	live("6", nil, "name=h0?")
	kept("1", "2", "5")
	live("6", nil, "name=h*")
	kept("1", "5") // hosts would go back to 5
	live("6", nil, "name=*")
	live("6", nil, "name=h*")
	kept("5")
	d.reopen()
	kept("5")
}
