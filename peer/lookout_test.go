package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"

	"crow/internal/control"
	"crow/internal/release"
)

// watchLog has the rig log to what it returns.
func (r *rig) watchLog() *observer.ObservedLogs {
	core, logged := observer.New(zap.ErrorLevel)
	r.log = zap.New(core)
	return logged
}

// logged waits for a line that names a path and says what to do.
func logged(t *testing.T, all *observer.ObservedLogs, message, path string) {
	t.Helper()
	eventually(t, "log of "+message, func() bool {
		return slices.ContainsFunc(all.All(), func(e observer.LoggedEntry) bool {
			fields := e.ContextMap()
			return strings.Contains(e.Message, message) && fields["path"] == path && fields["hint"] != ""
		})
	})
}

// What is removed under a running agent is noticed, told and brought back.
func TestRemovedUnderTheAgent(t *testing.T) {
	tests := []struct {
		name          string
		remove        []string
		message, path string
		fetches       int
		anew          bool // in a life of its own
	}{
		{"live release", []string{"apps/web/2"}, "removed under the agent", "apps/web", 1, false},
		{"link", []string{"apps/web/current"}, "removed under the agent", "apps/web", 1, false},
		{"app", []string{"apps/web"}, "removed under the agent", "apps/web", 1, false},
		{"all apps", []string{"apps"}, "removed under the agent", "apps", 1, false},
		{"cache and release", []string{"cache", "apps/web/2"}, "removed under the agent", "cache", 2, false},
		{"state", []string{"state"}, "removed or replaced under the agent", "", 2, true},
		{"data_dir", []string{"."}, "removed or replaced under the agent", "", 2, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			all := r.watchLog()
			r.cfg.DataDir = filepath.Join(r.cfg.DataDir, "data")
			dir := t.TempDir()
			ran, on := filepath.Join(dir, "ran"), filepath.Join(dir, "on")
			touch(t, on)
			app := r.hook(App{Unpack: true}, "cat page >> "+ran+"; echo >> "+ran+"; until [ -e "+on+" ]; do sleep 0.01; done")
			a, _, two := r.pair(app, func(content string) goods { return r.page(content[:8]) })
			for _, err := range []error{os.Remove(ran), os.Remove(on)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			for _, folder := range test.remove {
				if err := os.Rename(r.path(folder), filepath.Join(t.TempDir(), "gone")); err != nil {
					t.Fatal(err)
				}
			}
			logged(t, all, test.message, filepath.Clean(r.path(test.path)))
			r.office.until(t, "word of it", func() bool {
				j, _ := r.office.job("d-2")
				return j.Phase == release.Activating && j.Reason == reasonLost
			})
			touch(t, on)
			if got := r.office.await(t, "d-2", release.Active); got.Reason != "" {
				t.Errorf("reason is %q", got.Reason)
			}
			if r.read("apps/web/current/page") != big("two", 2)[:8] || len(lines(ran)) != 1 || r.current("web") != "2" {
				t.Errorf("live is %q, hooks: %q", r.read("apps/web/current/page"), lines(ran))
			}
			// A look between two removals has one fetch of its own.
			if n := a.copier.fetchCount(two.manifest.InfoHash); n < test.fetches || n > test.fetches+len(test.remove)-1 {
				t.Errorf("%d fetches, want %d", n, test.fetches)
			}
			r.office.set(func() {
				if (len(r.office.boots) > 1) != test.anew {
					t.Errorf("lives: %d", len(r.office.boots))
				}
			})
			if _, err := Clear(t.Context(), r.cfg, true, nopLog); err != nil {
				t.Errorf("its socket: %v", err)
			}
		})
	}
}

// A cache that is removed alone is filled again, without a word to the hook.
func TestRemovedCacheIsFilledAgain(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	a, _, two := r.pair(App{}, r.goods)
	if err := os.RemoveAll(r.path("cache")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is filled", func() bool {
		return exists(r.path("cache", two.manifest.SHA256.String())) && a.copier.isOffered(two.manifest.InfoHash)
	})
	r.office.await(t, "d-2", release.Active)
}

// A release that waits for its turn is staged again, without its hook.
func TestRemovedBeforeItsTurn(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.cfg.Apps["web"] = App{Unpack: true, Hook: []string{"/bin/false"}}
	order := r.page("page").order("d-1", "web", "1")
	order.Goal = control.GoalFetch
	a := r.start()
	r.office.give(order)
	r.office.await(t, "d-1", release.Staged)
	if err := os.Rename(r.path("apps/web"), filepath.Join(t.TempDir(), "gone")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is staged again", func() bool { return r.read("apps/web/1/page") == "page" })
	r.office.until(t, "staged", func() bool {
		j, _ := r.office.job("d-1")
		return j.Phase == release.Staged && j.Reason == ""
	})
	if live := r.current("web"); live != "" {
		t.Errorf("live is %q", live)
	}
	if n := a.copier.fetchCount(order.Manifest.InfoHash); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// The documents' folders are made again, and what no seeder can say is written anew.
func TestRemovedDocuments(t *testing.T) {
	r := newRig(t)
	all := r.watchLog()
	r.pair(App{}, r.goods)
	record := r.path("state/docs/app/web")
	before := r.read("state/docs/app/web")
	for _, folder := range []string{"state/docs", "state/tmp"} {
		if err := os.Rename(r.path(folder), filepath.Join(t.TempDir(), "gone")); err != nil {
			t.Fatal(err)
		}
		logged(t, all, "written anew", r.path(folder))
	}
	eventually(t, "the record is there", func() bool { return exists(record) })
	if got := r.read("state/docs/app/web"); got != before {
		t.Errorf("record is %s, was %s", got, before)
	}
	r.office.give(r.goods("three").order("d-3", "web", "3"))
	r.office.await(t, "d-3", release.Active)
}

// A link that somebody set is told and left alone, until it is set back or there is a
// new order.
func TestLinkSetByHand(t *testing.T) {
	r := newRig(t)
	all := r.watchLog()
	r.pair(App{}, r.goods)
	link := r.path("apps/web/current")
	set := r.setLink
	told := func(runs string, reason bool) {
		t.Helper()
		r.office.until(t, "word of the link", func() bool {
			j, _ := r.office.job("d-2")
			return j.Phase == release.Active && (j.Reason != "") == reason && r.office.newest["web-1"].Running["web"] == runs
		})
	}
	set("1")
	logged(t, all, "left alone", link)
	told("1", true)
	set(r.path("apps/web/1"))
	told("", true)
	set("2")
	told("2", false)
	set("1")
	told("1", true)
	r.office.give(r.goods("three").order("d-3", "web", "3"))
	if got := r.office.await(t, "d-3", release.Active); got.Reason != "" || r.current("web") != "3" {
		t.Errorf("report is %+v, live is %s", got, r.current("web"))
	}
}

// setLink is what somebody does who has no seeder in reach.
func (r *rig) setLink(target string) {
	r.t.Helper()
	link := r.path("apps/web/current")
	for _, err := range []error{os.Remove(link), os.Symlink(target, link)} {
		if err != nil {
			r.t.Fatal(err)
		}
	}
}

// A link that somebody set leads there until a job sets it anew, and is told so.
func TestLinkSetByHandStandsWhileAJobRuns(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	d := newDoor(2 * chunk)
	r.gate = d.pass
	r.pair(App{}, r.goods)
	r.setLink("1")
	runs := func(version, reason string, deploy string, phase release.Phase) {
		t.Helper()
		r.office.until(t, "word of "+version, func() bool {
			j, _ := r.office.job(deploy)
			return j.Phase == phase && strings.Contains(j.Reason, reason) && (j.Reason == "") == (reason == "") &&
				r.office.newest["web-1"].Running["web"] == version
		})
	}
	runs("1", "set to 1", "d-2", release.Active)
	r.office.give(r.goods(big("three", 4)).order("d-3", "web", "3"))
	<-d.reached
	runs("1", "", "d-3", release.Fetching)
	d.open()
	runs("3", "", "d-3", release.Active)
}

// A folder or a file in the link's place is told, and the link is set anew when that is
// gone.
func TestNoLinkInItsPlace(t *testing.T) {
	for name, place := range map[string]func(path string) error{
		"folder": func(path string) error { return os.Mkdir(path, 0o755) },
		"file":   func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			all := r.watchLog()
			r.pair(App{}, r.goods)
			link := r.path("apps/web/current")
			other := link + ".new"
			for _, err := range []error{
				place(other), unix.Renameat2(unix.AT_FDCWD, other, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE), os.Remove(other),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
			r.office.until(t, "word of it", func() bool {
				j, _ := r.office.job("d-2")
				return strings.Contains(j.Reason, "move that away") && r.office.newest["web-1"].Running["web"] == ""
			})
			logged(t, all, "left alone", link)
			if err := os.Remove(link); err != nil {
				t.Fatal(err)
			}
			r.office.until(t, "it is live", func() bool {
				j, _ := r.office.job("d-2")
				return j.Phase == release.Active && j.Reason == "" && r.office.newest["web-1"].Running["web"] == "2"
			})
			if live := r.current("web"); live != "2" {
				t.Errorf("live is %q", live)
			}
		})
	}
}

// slowly has a look wait once hold has been called, until goOn is. Then the loop has
// heard of that look.
func (a *agentUnderTest) slowly(t *testing.T) (hold, goOn func()) {
	var holds atomic.Bool
	at, on, next := make(chan struct{}), make(chan struct{}), make(chan struct{})
	looks := 0
	a.lookout.sight = func(apps []watchedApp) sighting {
		switch {
		case looks == 1:
			close(next)
			looks++
		case looks == 0 && holds.Load():
			close(at)
			<-on
			looks++
		}
		return a.lookout.look(apps)
	}
	await := func(c chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(patience):
			t.Fatal("nobody looks")
		}
	}
	return func() { holds.Store(true); await(at) }, func() { close(on); await(next) }
}

// What a job does while a slow look is under way is not somebody else's doing.
func TestSlowLookBesideAJob(t *testing.T) {
	r := newRig(t)
	all := r.watchLog()
	a, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	hold, goOn := a.slowly(t)
	r.begin(a)
	r.office.give(r.goods("one").order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	hold()
	r.office.give(r.goods("two").order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Active)
	goOn()
	if n := all.Len(); n > 0 {
		t.Errorf("%d errors: %v", n, all.All()[0].Message)
	}
}

// A link set by hand is not taken for set back by a look that began while a job had
// the app.
func TestSlowLookBegunBesideAJob(t *testing.T) {
	r := newRig(t)
	all := r.watchLog()
	d := newDoor(chunk)
	r.gate = d.pass
	a, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	hold, goOn := a.slowly(t)
	r.begin(a)
	r.office.give(r.goods("one").order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	r.office.give(r.goods("two").order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Active)
	r.setLink("1")
	logged(t, all, "left alone", r.path("apps/web/current"))
	r.office.give(fetchOnly(r.goods(big("three", 2)).order("d-3", "web", "3")))
	<-d.reached
	hold()
	d.open()
	r.office.await(t, "d-3", release.Staged)
	slotOf := func() (s slot) {
		t.Helper()
		if err := a.agent.ask(t.Context(), func(a *agent) { s = *a.slots["web"] }); err != nil {
			t.Fatal(err)
		}
		return s
	}
	eventually(t, "the job is over", func() bool { s := slotOf(); return s.isIdle() })
	goOn()
	if s := slotOf(); s.moved != "1" {
		t.Errorf("the link leads to %q", s.moved)
	}
	if n := all.Len(); n != 1 {
		t.Errorf("%d errors", n)
	}
}

// A data_dir that is no longer mounted is not written to, and is taken up again
// when it is back.
func TestUnmountedUnderTheAgent(t *testing.T) {
	for name, mount := range map[string]func(r *rig){
		"a file system of its own": func(r *rig) { r.ownDisk("64m") },
		"a folder of the same one": (*rig).bound,
	} {
		t.Run(name, func(t *testing.T) { testUnmounted(t, mount) })
	}
}

func testUnmounted(t *testing.T, mount func(r *rig)) {
	r := newRig(t)
	all := r.watchLog()
	mount(r)
	parked := t.TempDir()
	r.pair(App{}, r.goods)
	if err := unix.Mount(r.path(), parked, "", unix.MS_BIND, ""); err != nil {
		t.Skip(err)
	}
	defer unix.Unmount(parked, unix.MNT_DETACH)
	if err := unix.Unmount(r.path(), unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	logged(t, all, "no deploy can be done", r.path())
	r.office.until(t, "word of it", func() bool {
		j, _ := r.office.job("d-2")
		return j.Phase == release.Active && strings.Contains(j.Reason, "mount that again")
	})
	three, other := r.goods("three").order("d-3", "web", "3"), r.goods("other").order("d-4", "other", "1")
	r.office.tell(t, three, other)
	for _, deploy := range []string{"d-3", "d-4"} {
		r.office.until(t, "waiting "+deploy, func() bool {
			j, _ := r.office.job(deploy)
			return j.Phase == release.Pending && strings.Contains(j.Reason, "mount that again")
		})
	}
	if got := names(t, r.path()); len(got) > 0 {
		t.Errorf("in the empty folder there is %q", got)
	}
	if err := unix.Mount(parked, r.path(), "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	for _, deploy := range []string{"d-3", "d-4"} {
		if got := r.office.await(t, deploy, release.Active); got.Reason != "" {
			t.Errorf("reason is %q", got.Reason)
		}
	}
}

// A disk that does not answer silences nobody: the agent polls, reports, says so, and
// goes on when it answers again.
func TestSilentDisk(t *testing.T) {
	r := newRig(t)
	all := r.watchLog()
	r.live(App{}, r.goods("one"))
	r.timing.silent, r.timing.poll = 50*time.Millisecond, 20*time.Millisecond
	orders := r.path("state/docs/orders/last")
	kept := r.read("state/docs/orders/last")
	a, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	var hangs atomic.Bool
	answers := make(chan struct{})
	hang := func() {
		if hangs.Load() {
			<-answers
		}
	}
	a.lookout.sight = func(apps []watchedApp) sighting { hang(); return a.lookout.look(apps) }
	a.agent.report.free = promptly(func() *int64 { hang(); return new(int64) }, 10*time.Millisecond)
	r.begin(a)
	r.office.tell(t, r.goods("one").order("d-1", "web", "1"))
	hangs.Store(true)
	// Who opens a pipe that nobody writes to waits as for a disk.
	for _, err := range []error{os.Remove(orders), unix.Mkfifo(orders, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.office.until(t, "word of it", func() bool {
		j, _ := r.office.job("d-1")
		return j.Phase == release.Active && strings.Contains(j.Reason, "does not answer")
	})
	logged(t, all, "no deploy can be done", r.path())
	for i, deploy := range []string{"d-2", "d-3"} {
		r.office.tell(t, r.goods("one").order("d-1", "web", "1"), r.goods("two").order(deploy, "other", fmt.Sprint(i)))
		r.office.until(t, deploy+" waits", func() bool {
			j, _ := r.office.job(deploy)
			return j.Phase == release.Pending && strings.Contains(j.Reason, "does not answer") && r.office.newest["web-1"].Free == nil
		})
	}
	polls := 0
	r.office.set(func() { polls = r.office.polls })
	r.office.until(t, "more polls", func() bool { return r.office.polls > polls+3 })

	hangs.Store(false)
	close(answers)
	w, err := os.OpenFile(orders, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{os.WriteFile(orders+".new", []byte(kept), 0o600), os.Rename(orders+".new", orders), w.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, deploy := range []string{"d-1", "d-3"} {
		if got := r.office.await(t, deploy, release.Active); got.Reason != "" {
			r.office.until(t, deploy+" without a reason", func() bool { j, _ := r.office.job(deploy); return j.Reason == "" })
		}
	}
}

// Orders that the disk does not take in time tell the loop before it would read.
func TestOrdersFindTheDiskSilent(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.live(App{}, r.goods("one"))
	r.timing.silent, r.timing.look = 50*time.Millisecond, time.Hour
	orders := r.path("state/docs/orders/last")
	a := r.start()
	r.office.tell(t, r.goods("one").order("d-1", "web", "1"))
	for _, err := range []error{os.Remove(orders), unix.Mkfifo(orders, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.office.give(r.goods("two").order("d-2", "other", "1"))
	r.office.until(t, "word of it", func() bool {
		j, _ := r.office.job("d-2")
		return j.Phase == release.Pending && strings.Contains(j.Reason, "does not answer")
	})
	w, err := os.OpenFile(orders, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	a.stop(t)
}

func TestPromptly(t *testing.T) {
	hang := make(chan struct{})
	var calls atomic.Int64
	ask := promptly(func() *int64 {
		if calls.Add(1) == 2 {
			<-hang
		}
		return new(int64)
	}, 20*time.Millisecond)
	if ask() == nil {
		t.Error("no answer")
	}
	for range 3 {
		if ask() != nil {
			t.Error("an answer of a call that hangs")
		}
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls", n)
	}
	close(hang)
	eventually(t, "answer", func() bool { return ask() != nil })
}
