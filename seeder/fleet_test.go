package seeder

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestThousandHostsPoll has a whole fleet wait for orders, and holds that a
// deploy to a few of them wakes these alone, that a deploy to all reaches all,
// and that their progress wakes none.
func TestThousandHostsPoll(t *testing.T) {
	const hosts, few = 1000, 10
	r := newRig(t, t.TempDir(), quickPace())
	r.push("web", "1")
	r.push("db", "1")
	var woken, got atomic.Int64 // polls that returned, and with news
	var waiting sync.WaitGroup
	agents := make([]*agent, hosts)
	for i := range agents {
		role := "web"
		if i < few {
			role = "db"
		}
		agents[i] = r.agent(fmt.Sprintf("host-%d", i), release.Labels{"role": role})
	}
	for _, a := range agents {
		waiting.Go(func() { a.pollTwice(&woken, &got) })
	}
	eventually(t, "all hosts have their first answer, and ask again", func() bool { return woken.Load() == hosts })
	r.deploy("db", "1", "role=db")
	eventually(t, "some were woken", func() bool { return got.Load() == few })
	db := r.status("db")
	for _, a := range agents[:few] {
		a.finish("db")
	}
	if s := r.status(db.Deploy); s.Phase != release.DeploySucceeded {
		t.Errorf("the small deploy is %s: %s", s.Phase, s.Reason)
	}
	if n := woken.Load(); n != hosts+few {
		t.Errorf("%d polls have returned, want %d", n, hosts+few)
	}
	start := time.Now()
	s := r.deploy("web", "1", "role=web")
	waiting.Wait()
	for _, a := range agents[few:] {
		a.finish("web")
	}
	if s = r.status(s.Deploy); s.Phase != release.DeploySucceeded || len(s.Hosts) != hosts-few {
		t.Errorf("the large deploy is %s: %s", s.Phase, s.Reason)
	}
	t.Logf("%d hosts ordered and reported in %s", len(s.Hosts), time.Since(start))
}

// pollTwice takes the orders that are, and waits for the next, as an agent does.
func (a *agent) pollTwice(woken, got *atomic.Int64) {
	client := a.rig.newClient() // real hosts share no connections
	var o control.Orders
	for {
		next, err := client.Orders(a.rig.t.Context(), a.name, o.Epoch, o.Revision, time.Minute)
		if err != nil {
			a.rig.t.Error(err)
			return
		}
		woken.Add(1)
		if len(next.Orders) > 0 {
			got.Add(1)
			return
		}
		o = next
	}
}

// TestKilledSeederTellsTheTruth takes what is on disk at several moments of a
// deploy, as a kill there would leave it, and asks a new seeder.
func TestKilledSeederTellsTheTruth(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	a, b := r.agent("a", release.Labels{"zone": "z"}), r.agent("b", nil)
	found := r.push("web", "1")
	s := r.deploy("web", "1", "name=*")
	justBegun := r.killed()
	if err := a.report(a.order("web"), release.Failed, "hook exited 42"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the failure is on disk", func() bool {
		again := newRig(t, r.killed(), quickPace())
		defer again.stop()
		return hostRow(again.status("web"), "a").Phase == release.Failed
	})
	b.finish("web")
	want := r.status(s.Deploy)
	atTheEnd := r.killed()

	again := newRig(t, justBegun, quickPace())
	if got := again.status("web"); got.Deploy != s.Deploy || got.Phase != release.DeployRunning || len(got.Hosts) != 2 {
		t.Errorf("just begun: %+v", got)
	}
	eventually(t, "the torrent is offered again", func() bool { return again.swarm.count() == 1 })
	// The agents find a new epoch, and say all again without a new hello.
	for _, agent := range []*agent{a, b} {
		agent.rig, agent.client = again, again.client
		agent.finish("web")
	}
	if got := again.status("web"); got.Phase != release.DeploySucceeded {
		t.Errorf("the deploy went on, and is %s: %s", got.Phase, got.Reason)
	}

	again = newRig(t, atTheEnd, quickPace())
	got := again.status(s.Deploy)
	if got.Phase != release.DeployFailed || got.Reason != want.Reason || !got.Finished.Equal(*want.Finished) {
		t.Errorf("at the end: %s %q, want %s %q", got.Phase, got.Reason, want.Phase, want.Reason)
	}
	if row := hostRow(got, "a"); row.Phase != release.Failed || row.Reason != "hook exited 42" || row.Zone != "z" {
		t.Errorf("row of a: %+v", row)
	}
	if list := must[[]control.Release](t)(again.client.Releases(t.Context(), "")); len(list) != 1 || list[0].SHA256 != found.SHA256 {
		t.Errorf("catalog: %+v", list)
	}
}

// TestEpochEndsAPoll has a host of a former life ask with the very revision
// that it would wait for.
func TestEpochEndsAPoll(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	a := r.agent("a", nil)
	o := must[control.Orders](t)(a.client.Orders(t.Context(), "a", "", 0, 0))
	began := time.Now()
	next := must[control.Orders](t)(a.client.Orders(t.Context(), "a", "former", o.Revision, time.Minute))
	if next.Epoch != o.Epoch || time.Since(began) > patience {
		t.Errorf("answered with epoch %s after %s", next.Epoch, time.Since(began))
	}
}
