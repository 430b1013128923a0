package peer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

// attempt makes an order the n-th attempt.
func attempt(o control.Order, n int) control.Order {
	o.Attempt = n
	return o
}

func TestFailedOrderIsTriedAgain(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	dir := t.TempDir()
	r.cfg.Apps["web"] = r.hook(App{}, "cd "+dir+"; echo >> ran; [ -e mended ]")
	order := r.goods(big("again", 2)).order("d-1", "web", "1")
	a := r.start()
	r.office.give(order)
	if got := r.office.await(t, "d-1", release.Failed); got.Attempt != 0 {
		t.Errorf("report is %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "mended"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.office.give(attempt(order, 1))
	var got control.JobReport
	r.office.until(t, "second attempt", func() bool { got, _ = r.office.job("d-1"); return got.Attempt == 1 && got.Phase == release.Active })
	if got.Bytes != (release.Bytes{Local: order.Manifest.Size}) || got.Reason != "" || a.copier.fetchCount(order.Manifest.InfoHash) != 1 {
		t.Errorf("the second attempt's report is %+v", got)
	}
	if n := len(lines(filepath.Join(dir, "ran"))); n != 2 {
		t.Errorf("hook ran %d times", n)
	}

	a.stop(t)
	r.office.set(func() { clear(r.office.newest) })
	r.start()
	if got := r.office.await(t, "d-1", release.Active); got.Attempt != 1 {
		t.Errorf("after a restart: %+v", got)
	}
}

// The result of a first attempt that still runs when the second is ordered
// does not pass for the second's.
func TestAttemptIsOrderedWhileTheLastRuns(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	dir := t.TempDir()
	r.cfg.Apps["web"] = r.hook(App{}, "cd "+dir+"; echo >> ran; [ -e second ] && exit 0; touch second; while [ ! -e go ]; do sleep 0.01; done; exit 1")
	order := r.goods("build").order("d-1", "web", "1")
	r.start()
	r.office.give(order)
	eventually(t, "hook runs", func() bool { return exists(filepath.Join(dir, "second")) })
	r.office.tell(t, attempt(order, 1))
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.office.until(t, "second attempt", func() bool { j, _ := r.office.job("d-1"); return j.Attempt == 1 && j.Phase == release.Active })
	if n := len(lines(filepath.Join(dir, "ran"))); n != 2 {
		t.Errorf("hook ran %d times", n)
	}
}

func TestPausedInFetchGoesOnToStaged(t *testing.T) {
	r := newRig(t)
	d := newDoor(2 * chunk)
	r.gate = d.pass
	ran := filepath.Join(t.TempDir(), "ran")
	r.cfg.Apps["web"] = r.hook(App{}, "echo >> "+ran)
	g := r.goods(big("paused", 4))
	a := r.start()
	order := g.order("d-1", "web", "1")
	r.office.give(order)
	<-d.reached
	r.office.tell(t, fetchOnly(order))
	d.open()
	if got := r.office.await(t, "d-1", release.Staged); got.Bytes != (release.Bytes{Seeder: g.manifest.Size}) {
		t.Errorf("the pause ended the fetch: %+v", got)
	}
	if r.current("web") != "" || len(lines(ran)) > 0 {
		t.Error("the paused deploy went live")
	}
	r.office.give(order)
	got := r.office.await(t, "d-1", release.Active)
	if got.Bytes != (release.Bytes{Seeder: g.manifest.Size}) || a.copier.fetchCount(g.manifest.InfoHash) != 1 || len(lines(ran)) != 1 {
		t.Errorf("after it went on: %+v", got)
	}
}

func TestPausedAndResumedInFetchGoesLive(t *testing.T) {
	r := newRig(t)
	d := newDoor(chunk)
	r.gate = d.pass
	g := r.goods(big("paused", 2))
	r.start()
	order := g.order("d-1", "web", "1")
	r.office.give(order)
	<-d.reached
	r.office.tell(t, fetchOnly(order))
	r.office.tell(t, order)
	d.open()
	r.office.await(t, "d-1", release.Active)
}

func TestPausedInHookGoesOnToItsEnd(t *testing.T) {
	for _, killed := range []bool{false, true} {
		r := newRig(t)
		dir := t.TempDir()
		r.cfg.Apps["*"] = r.hook(App{}, "cd "+dir+"; echo begin >> log; while [ ! -e go ]; do sleep 0.01; done; echo end >> log")
		order := r.goods("build").order("d-1", "web", "1")
		kill := r.startVictim(victimForever)
		r.office.give(order)
		log := filepath.Join(dir, "log")
		eventually(t, "hook runs", func() bool { return len(lines(log)) == 1 })
		r.office.tell(t, fetchOnly(order))
		want := []string{"begin", "end"}
		if killed {
			kill()
			want = []string{"begin", "end", "begin", "end"}
		}
		if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if killed {
			r.start()
		}
		r.office.await(t, "d-1", release.Active)
		if got := lines(log); !slices.Equal(got, want) {
			t.Errorf("killed %v: hooks %q, want %q", killed, got, want)
		}
	}
}

// A deploy that fetched only leaves the next one nothing to move.
func TestFetchedByAnotherDeploy(t *testing.T) {
	r := newRig(t)
	ran := filepath.Join(t.TempDir(), "ran")
	r.cfg.Apps["web"] = r.hook(App{Unpack: true}, "echo >> "+ran)
	g := r.archive(map[string]string{"page": "one"})
	a := r.start()
	r.office.give(fetchOnly(g.order("d-1", "web", "1")))
	r.office.await(t, "d-1", release.Staged)
	r.office.give(g.order("d-2", "web", "1"))
	got := r.office.await(t, "d-2", release.Active)
	if got.Bytes != (release.Bytes{Local: g.manifest.Size}) || got.StageSeconds != 0 || got.Unchanged {
		t.Errorf("report is %+v", got)
	}
	if n := len(lines(ran)); n != 1 || a.copier.fetchCount(g.manifest.InfoHash) != 1 {
		t.Errorf("hook ran %d times, %d fetches", n, a.copier.fetchCount(g.manifest.InfoHash))
	}
}

// A host that lost what it is told to go back to fetches it.
func TestLostReleaseIsFetchedForARollback(t *testing.T) {
	r := newRig(t)
	r.cfg.Apps["web"] = App{Unpack: true}
	one, two := r.archive(map[string]string{"page": "one"}), r.archive(map[string]string{"page": "two"})
	a := r.start()
	r.office.give(one.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	r.office.give(two.order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Active)
	a.stop(t)
	for _, lost := range []string{r.path("apps/web/1"), r.path("cache", one.manifest.SHA256.String())} {
		if err := os.RemoveAll(lost); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	r.office.give(back(one.order("d-3", "web", "1")))
	if got := r.office.await(t, "d-3", release.Active); got.Bytes != (release.Bytes{Seeder: one.manifest.Size}) {
		t.Errorf("report is %+v", got)
	}
	if r.read("apps/web/current/page") != "one" {
		t.Error("the old release is not live")
	}
}

// A host that was installed anew, with its name and nothing else, converges.
func TestReinstalledHostConverges(t *testing.T) {
	r := newRig(t)
	g := r.goods("build")
	r.live(App{}, g)
	r.cfg.DataDir = t.TempDir()
	r.office.set(func() { clear(r.office.newest) })
	r.start()
	if got := r.office.await(t, "d-1", release.Active); got.Bytes != (release.Bytes{Seeder: g.manifest.Size}) || got.Unchanged {
		t.Errorf("report is %+v", got)
	}
}
