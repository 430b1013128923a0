package peer

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

func TestDeployGoesLive(t *testing.T) {
	r := newRig(t)
	out := t.TempDir()
	r.cfg.Labels = release.Labels{"role": "web"}
	r.cfg.Apps["web"] = r.hook(App{}, "env > "+out+"/env; cat > "+out+"/stdin; pwd > "+out+"/pwd; echo said")
	g := r.goods(big("one", 5))
	a := r.start()
	r.office.give(g.order("d-1", "web", "1.0"))
	got := r.office.await(t, "d-1", release.Active)

	if want := (release.Bytes{Seeder: g.manifest.Size}); got.Bytes != want {
		t.Errorf("bytes are %+v, want %+v", got.Bytes, want)
	}
	if got.Hook == nil || got.Hook.Exit != 0 || !strings.Contains(got.Hook.Tail, "said") || got.FetchSeconds <= 0 {
		t.Errorf("report is %+v", got)
	}
	if r.current("web") != "1.0" || r.read("apps/web/current/artifact") != big("one", 5) {
		t.Error("the release is not live")
	}
	if !a.copier.isOffered(g.manifest.InfoHash) || !exists(r.path("cache", g.manifest.SHA256.String())) {
		t.Error("the artifact is not offered from the cache")
	}
	dir := r.path("apps/web/1.0")
	env, err := os.ReadFile(filepath.Join(out, "env"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"CROW_APP=web", "CROW_VERSION=1.0", "CROW_RELEASE_DIR=" + dir, "CROW_ARTIFACT=" + dir + "/artifact",
		"CROW_PREVIOUS_VERSION=", "CROW_PREVIOUS_DIR=", "CROW_DEPLOY=d-1", "CROW_HOST=web-1",
	} {
		if !slices.Contains(strings.Split(string(env), "\n"), want) {
			t.Errorf("hook's environment lacks %s", want)
		}
	}
	if pwd := lines(filepath.Join(out, "pwd")); !slices.Equal(pwd, []string{dir}) {
		t.Errorf("hook ran in %q, want %q", pwd, dir)
	}
	var facts map[string]string
	if err := json.Unmarshal([]byte(lines(filepath.Join(out, "stdin"))[0]), &facts); err != nil || facts["CROW_RELEASE_DIR"] != dir {
		t.Errorf("hook's stdin: %v, %v", facts, err)
	}
	want := []release.Phase{release.Fetching, release.Verified, release.Staged, release.Activating, release.Active}
	last := release.Pending
	for _, p := range r.office.phases("d-1") {
		if p < last || p != release.Pending && !slices.Contains(want, p) {
			t.Errorf("phases were %v", r.office.phases("d-1"))
		}
		last = p
	}
}

func TestHelloTellsWhoTheHostIs(t *testing.T) {
	r := newRig(t)
	r.cfg.Labels = release.Labels{"role": "web"}
	r.cfg.Apps["web"] = App{}
	a := r.start()
	r.office.until(t, "hello", func() bool { return len(r.office.hosts) == 1 })
	got := r.office.hosts["web-1"]
	if got.Boot == "" || got.Address != "127.0.0.1" || got.SwarmPort != a.SwarmAddr().Port() || !maps.Equal(got.Labels, r.cfg.Labels) ||
		!slices.Equal(got.Apps, []string{"*", "web"}) || got.Crow != "test" {
		t.Errorf("hello is %+v", got)
	}
	r.office.until(t, "trackers", func() bool {
		a.copier.mu.Lock()
		defer a.copier.mu.Unlock()
		return slices.Equal(a.copier.trackers, []string{r.office.url() + "/announce"})
	})
}

func TestLiveReleaseIsLeftAlone(t *testing.T) {
	r := newRig(t)
	ran := filepath.Join(t.TempDir(), "ran")
	r.cfg.Apps["web"] = r.hook(App{}, "echo $CROW_DEPLOY >> "+ran)
	g := r.goods("build")
	a := r.start()
	r.office.give(g.order("d-1", "web", "1.0"))
	first := r.office.await(t, "d-1", release.Active)
	r.office.give(g.order("d-2", "web", "1.0"))
	if got := r.office.await(t, "d-2", release.Active); !got.Unchanged || got.Hook != nil || got.Bytes != (release.Bytes{}) {
		t.Errorf("second deploy of a live release: %+v", got)
	}

	a.stop(t)
	r.office.set(func() { clear(r.office.newest) })
	a = r.start()
	if got := r.office.await(t, "d-2", release.Active); !got.Unchanged {
		t.Errorf("after a restart: %+v", got)
	}
	r.office.give(g.order("d-1", "web", "1.0"))
	r.office.until(t, "d-1 alone", func() bool { _, other := r.office.job("d-2"); return !other })
	if got := r.office.await(t, "d-1", release.Active); got.Unchanged || got.Bytes != first.Bytes || got.Hook == nil {
		t.Errorf("own deploy after a restart: %+v, want what it was: %+v", got, first)
	}
	if got := lines(ran); !slices.Equal(got, []string{"d-1"}) {
		t.Errorf("hook ran for %q", got)
	}
	if a.copier.fetchCount(g.manifest.InfoHash) != 0 || !a.copier.isOffered(g.manifest.InfoHash) {
		t.Error("a restarted agent fetches what it has, or does not offer it")
	}
}

func TestRollbackMovesNothing(t *testing.T) {
	r := newRig(t)
	ran := filepath.Join(t.TempDir(), "ran")
	r.cfg.Apps["web"] = r.hook(App{Unpack: true}, "echo $CROW_VERSION after $CROW_PREVIOUS_VERSION in $CROW_PREVIOUS_DIR, `cat page` >> "+ran)
	one, two := r.archive(map[string]string{"page": "first"}), r.archive(map[string]string{"page": "second"})
	a := r.start()
	r.office.give(one.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	r.office.give(two.order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Active)
	r.office.give(back(one.order("d-3", "web", "1")))
	got := r.office.await(t, "d-3", release.Active)
	if got.Bytes != (release.Bytes{Local: one.manifest.Size}) || a.copier.fetchCount(one.manifest.InfoHash) != 1 || got.Unchanged {
		t.Errorf("rollback moved bytes: %+v", got)
	}
	app := r.path("apps/web")
	want := []string{"1 after in , first", "2 after 1 in " + app + "/1, second", "1 after 2 in " + app + "/2, first"}
	if got := lines(ran); !slices.Equal(got, want) {
		t.Errorf("hooks said %q, want %q", got, want)
	}
	if r.read("apps/web/current/page") != "first" {
		t.Error("the old release is not live again")
	}
}

func TestFetchOnlyThenActivate(t *testing.T) {
	r := newRig(t)
	g := r.goods("build")
	r.start()
	r.office.give(fetchOnly(g.order("d-1", "web", "1")))
	r.office.await(t, "d-1", release.Staged)
	if r.current("web") != "" || r.read("apps/web/1/artifact") != "build" {
		t.Error("fetch-only did more or less than stage")
	}
	r.office.give(g.order("d-1", "web", "1"))
	got := r.office.await(t, "d-1", release.Active)
	if got.Bytes != (release.Bytes{Seeder: g.manifest.Size}) {
		t.Errorf("the count of the fetch is lost: %+v", got.Bytes)
	}
	for i, p := range r.office.phases("d-1")[1:] {
		if !p.CanFollow(r.office.phases("d-1")[i]) {
			t.Errorf("phases went back: %v", r.office.phases("d-1"))
		}
	}
}

func TestAppsShareOneDownload(t *testing.T) {
	r := newRig(t)
	d := newDoor(chunk)
	r.gate = d.pass
	g := r.goods(big("shared", 4))
	other := r.goods("small")
	r.cfg.Apps["broken"] = r.hook(App{}, "exit 9")
	a := r.start()
	r.office.give(g.order("d-1", "one", "1"), g.order("d-2", "two", "7"), other.order("d-3", "three", "1"), other.order("d-4", "broken", "1"))
	r.office.await(t, "d-3", release.Active) // not held up by the others
	r.office.await(t, "d-4", release.Failed) // nor does it harm them
	<-d.reached
	d.open()
	one, two := r.office.await(t, "d-1", release.Active), r.office.await(t, "d-2", release.Active)
	if got := one.Bytes.Add(two.Bytes); got != (release.Bytes{Local: g.manifest.Size, Seeder: g.manifest.Size}) {
		t.Errorf("both apps took %+v together", got)
	}
	if n := a.copier.fetchCount(g.manifest.InfoHash); n != 1 {
		t.Errorf("%d fetches of one artifact", n)
	}
}

func TestNewerOrderEndsFetch(t *testing.T) {
	r := newRig(t)
	d := newDoor(chunk)
	slow := r.goods(big("slow", 4))
	r.gate = func(ctx context.Context, h release.Digest, off int64) error {
		if h == slow.manifest.InfoHash {
			return d.pass(ctx, h, off)
		}
		return nil
	}
	quick := r.goods("quick")
	r.start()
	r.office.give(slow.order("d-1", "web", "1"))
	<-d.reached
	r.office.give(quick.order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Active)
	r.office.until(t, "silence on the stopped deploy", func() bool { _, there := r.office.job("d-1"); return !there })
	eventually(t, "the unfinished download is removed", func() bool {
		return slices.Equal(names(t, r.path("cache")), []string{quick.manifest.SHA256.String()})
	})

	// The aborted newer deploy brings the older one back.
	d.open()
	r.office.give(back(slow.order("d-1", "web", "1")))
	r.office.await(t, "d-1", release.Active)
}

func TestNewerOrderWaitsForHook(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.cfg.Apps["web"] = r.hook(App{}, "cd "+dir+`
		[ -e busy ] && echo overlap >> log
		touch busy; echo begin $CROW_VERSION >> log
		while [ $CROW_VERSION = 1 ] && [ ! -e go ]; do sleep 0.01; done
		echo end $CROW_VERSION >> log; rm busy`)
	one, two := r.goods("one"), r.goods("two")
	r.start()
	r.office.give(one.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Activating)
	r.office.give(two.order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Pending)
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.office.await(t, "d-2", release.Active)
	r.office.await(t, "d-1", release.Active) // its result is told, too
	want := []string{"begin 1", "end 1", "begin 2", "end 2"}
	if got := lines(filepath.Join(dir, "log")); !slices.Equal(got, want) {
		t.Errorf("hooks: %q, want %q", got, want)
	}
}

// TestOrdersOfADyingAgent has orders, and a word from the keeper, come when the
// agent's context has ended: no job is started, and there is no verdict.
func TestOrdersOfADyingAgent(t *testing.T) {
	r := newRig(t)
	g := r.goods("build")
	a, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	a.agent.take(dead, control.Orders{Orders: []control.Order{g.order("d-1", "web", "1")}})
	a.agent.restore(dead, g.manifest.SHA256)
	if s := a.agent.slots["web"]; s == nil || s.job != nil {
		t.Errorf("slot is %+v", s)
	}
	if err := a.release(); err != nil {
		t.Error(err)
	}
}

func TestCacheIsClosedToOthers(t *testing.T) {
	r := newRig(t)
	if err := os.Mkdir(r.path("cache"), 0o755); err != nil { // as an earlier crow left it
		t.Fatal(err)
	}
	g := r.goods("build")
	r.start()
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	for name, want := range map[string]os.FileMode{"cache": 0o700, "state": 0o700, "apps": 0o755, "apps/web/1": 0o755, "apps/web/1/artifact": 0o555} {
		if fi, err := os.Stat(r.path(name)); err != nil || fi.Mode().Perm() != want {
			t.Errorf("%s: %v, %v, want %v", name, fi.Mode(), err, want)
		}
	}
}

func TestWithdrawnOrderEndsFetch(t *testing.T) {
	r := newRig(t)
	d := newDoor(chunk)
	r.gate = d.pass
	g := r.goods(big("slow", 3))
	r.start()
	r.office.give(g.order("d-1", "web", "1"))
	<-d.reached
	r.office.give()
	eventually(t, "nothing is left of it", func() bool { return len(names(t, r.path("cache"))) == 0 })
}
