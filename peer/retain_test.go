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

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// openState opens the state folder while no agent runs.
func (r *rig) openState() (state, func()) {
	r.t.Helper()
	dir, err := store.Open(r.path("state"), nopLog)
	if err != nil {
		r.t.Fatal(err)
	}
	return state{docs: dir, log: nopLog}, func() { dir.Close() }
}

func TestKeepsTheLastReleases(t *testing.T) {
	r := newRig(t)
	r.cfg.Apps["web"] = App{Keep: 2, Unpack: true}
	a := r.start()
	var all []goods
	for i := range 5 {
		g := r.archive(map[string]string{"page": fmt.Sprint(i)})
		all = append(all, g)
		deploy := fmt.Sprint("d-", i)
		r.office.give(g.order(deploy, "web", fmt.Sprint(i)))
		r.office.await(t, deploy, release.Active)
	}
	eventually(t, "two releases are kept", func() bool {
		return slices.Equal(names(t, r.path("apps/web")), []string{"3", "4", "current"})
	})
	want := []string{all[3].manifest.SHA256.String(), all[4].manifest.SHA256.String()}
	slices.Sort(want)
	for _, dir := range []string{"cache", "state/docs/torrent", "state/docs/verified"} {
		eventually(t, dir+" has theirs alone", func() bool { return slices.Equal(names(t, r.path(dir)), want) })
	}
	for i, g := range all {
		if got := a.copier.isOffered(g.manifest.InfoHash); got != (i >= 3) {
			t.Errorf("release %d is offered: %v", i, got)
		}
	}
}

func TestReadOnlyFoldersAreRemoved(t *testing.T) {
	r := newRig(t)
	locked := r.path("apps/web/.1.tmp-9/locked")
	mkdir(t, locked)
	if err := os.Chmod(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	if err := tidy(r.path("apps/web"), record{}); err != nil || len(names(t, r.path("apps/web"))) > 0 {
		t.Errorf("left over: %v, %v", names(t, r.path("apps/web")), err)
	}
}

// Only what crow names, or has noted, is crow's to remove.
func TestTidySparesWhatItDoesNotKnow(t *testing.T) {
	r := newRig(t)
	ours := []string{".1.tmp-1", ".current.tmp-", ".2+a.tmp-3.tmp-456", "9"}
	foreign := []string{".1.tmp-mine", ".config", ".tmp-1", "..tmp-1", "2", "backup", "backup.tmp-1", "shared"}
	for _, name := range slices.Concat(ours, foreign, []string{"1", "3"}) {
		mkdir(t, r.path("apps/web", name))
	}
	rec := record{current: "1", Placing: "9", Staged: map[string]placed{"1": {}, "3": {}}}
	if err := tidy(r.path("apps/web"), rec); err != nil {
		t.Fatal(err)
	}
	want := slices.Sorted(slices.Values(slices.Concat(foreign, []string{"1", "3"})))
	if got := names(t, r.path("apps/web")); !slices.Equal(got, want) {
		t.Errorf("left: %q, want %q", got, want)
	}
}

// What is not crow's outlives a start, deploys and gc, and one line at the start
// names it.
func TestForeignFoldersStay(t *testing.T) {
	r := newRig(t)
	r.live(App{Keep: 1}, r.goods("one"))
	foreign := []string{"backup", "notes.txt", "uploads"}
	for _, name := range []string{"backup/deep", "uploads"} {
		mkdir(t, r.path("apps/web", name))
	}
	touch(t, r.path("apps/web/notes.txt"))
	core, logged := observer.New(zap.WarnLevel)
	r.log = zap.New(core)
	a := r.start()
	r.office.give(r.goods("two").order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Active)
	r.clear(false)
	a.stop(t)
	lines := logged.FilterField(zap.String("app", "web")).All()
	if len(lines) != 1 || !strings.HasSuffix(lines[0].Message, "it is left alone") || fmt.Sprint(lines[0].ContextMap()["names"]) != fmt.Sprint(foreign) {
		t.Errorf("logged: %+v", lines)
	}
	for _, name := range foreign {
		if !exists(r.path("apps/web", name)) {
			t.Errorf("%s is gone", name)
		}
	}
}

// A release whose folder a kill left without its record is crow's all the same.
func TestKilledBeforeTheRecordOfAFolder(t *testing.T) {
	r := newRig(t)
	g := r.goods("one")
	r.live(App{}, g)
	a := r.start()
	eventually(t, "it is up", func() bool { return a.copier.isOffered(g.manifest.InfoHash) })
	mkdir(t, r.path("apps/other"))
	j := newJob(a.agent.host, g.order("d-2", "other", "2"), record{}, control.JobReport{}, nil)
	if err := j.build(t.Context()); err != nil || !exists(r.path("apps/other/2/artifact")) {
		t.Fatal(err)
	}
	a.stop(t)
	r.start()
	eventually(t, "it is gone", func() bool { return !exists(r.path("apps/other/2")) })
}

// live brings a release live and ends the agent.
func (r *rig) live(app App, g goods) {
	r.t.Helper()
	r.cfg.Apps["web"] = app
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(r.t, "d-1", release.Active)
	a.stop(r.t)
}

// An artifact that is found corrupt while no job can be begun is fetched again after
// that.
func TestCorruptCacheDuringTrouble(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	a, err := r.open()
	if err != nil {
		t.Fatal(err)
	}
	var ill atomic.Bool
	a.lookout.sight = func(apps []watchedApp) sighting {
		if ill.Load() {
			return sighting{trouble: "the disk is ill"}
		}
		return a.lookout.look(apps)
	}
	r.begin(a)
	g := r.goods("build")
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	ill.Store(true)
	r.office.until(t, "word of it", func() bool { j, _ := r.office.job("d-1"); return j.Reason == "the disk is ill" })
	cached := r.path("cache", g.manifest.SHA256.String())
	for _, err := range []error{os.Remove(cached), os.WriteFile(cached, []byte("spoilt"), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	a.dropped(g.manifest.InfoHash)
	eventually(t, "it is removed", func() bool { return !exists(cached) })
	ill.Store(false)
	eventually(t, "it is fetched again", func() bool { return r.read("cache", g.manifest.SHA256.String()) == "build" })
}

func TestCacheIsOfferedAgain(t *testing.T) {
	longAgo := time.Unix(1_000_000_000, 0)
	tests := []struct {
		name    string
		spoil   func(t *testing.T, r *rig, g goods, cached string)
		fetches int // by the next life
		hashed  bool
	}{
		{"untouched", func(*testing.T, *rig, goods, string) {}, 0, false},
		{"another boot", func(t *testing.T, r *rig, g goods, cached string) {
			s, closeStore := r.openState()
			defer closeStore()
			v, err := look(cached)
			v.Boot = "another"
			if err != nil || s.put(kindVerified, g.manifest.SHA256.String(), v) != nil {
				t.Fatal(err)
			}
		}, 0, true},
		{"touched", func(t *testing.T, _ *rig, _ goods, cached string) {
			if err := os.Chtimes(cached, longAgo, longAgo); err != nil {
				t.Fatal(err)
			}
		}, 0, true},
		{"corrupt", func(t *testing.T, _ *rig, _ goods, cached string) { corrupt(t, cached) }, 1, true},
		{"record is garbage", func(t *testing.T, r *rig, g goods, _ string) {
			path := r.path("state/docs/verified", g.manifest.SHA256.String())
			if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, 0, true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			ran := filepath.Join(t.TempDir(), "ran")
			g := r.goods(big("cached", 2))
			r.live(r.hook(App{}, "echo >> "+ran), g)
			cached := r.path("cache", g.manifest.SHA256.String())
			test.spoil(t, r, g, cached)
			before := r.read("state/docs/verified", g.manifest.SHA256.String())

			a := r.start()
			eventually(t, "it is offered", func() bool { return a.copier.isOffered(g.manifest.InfoHash) })
			eventually(t, "the live release is whole", func() bool { return r.read("apps/web/current/artifact") == big("cached", 2) })
			a.stop(t)
			if n := a.copier.fetchCount(g.manifest.InfoHash); n != test.fetches {
				t.Errorf("%d fetches, want %d", n, test.fetches)
			}
			if got := r.read("state/docs/verified", g.manifest.SHA256.String()) != before; got != test.hashed {
				t.Errorf("hashed again: %v, want %v", got, test.hashed)
			}
			if got := len(lines(ran)); got != 1 {
				t.Errorf("hook ran %d times", got)
			}
			if got := r.office.await(t, "d-1", release.Active); got.Bytes.Local != 0 {
				t.Errorf("the deploy's result changed: %+v", got)
			}
		})
	}
}

// What somebody writes to while it is offered is hashed again, and mended.
func TestDroppedArtifactIsMended(t *testing.T) {
	longAgo := time.Unix(1_000_000_000, 0)
	tests := []struct {
		name    string
		spoil   func(t *testing.T, cached string)
		fetches int
	}{
		{"touched", func(t *testing.T, cached string) {
			if err := os.Chtimes(cached, longAgo, longAgo); err != nil {
				t.Fatal(err)
			}
		}, 1},
		{"corrupt", corrupt, 2},
		{"corrupt, and as old as before", func(t *testing.T, cached string) {
			fi, err := os.Stat(cached)
			if err != nil {
				t.Fatal(err)
			}
			corrupt(t, cached)
			if err := os.Chtimes(cached, fi.ModTime(), fi.ModTime()); err != nil {
				t.Fatal(err)
			}
		}, 2},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			content := big("cached", 2)
			g := r.goods(content)
			a := r.start()
			r.office.give(g.order("d-1", "web", "1"))
			r.office.await(t, "d-1", release.Active)
			test.spoil(t, r.path("cache", g.manifest.SHA256.String()))
			a.copier.Drop(g.manifest.InfoHash)
			a.dropped(g.manifest.InfoHash)
			eventually(t, "it is offered, and the live release whole", func() bool {
				return a.copier.isOffered(g.manifest.InfoHash) && r.read("apps/web/current/artifact") == content
			})
			if n := a.copier.fetchCount(g.manifest.InfoHash); n != test.fetches {
				t.Errorf("%d fetches, want %d", n, test.fetches)
			}
		})
	}
}

// A file that is written to while the hook runs is mended after it.
func TestArtifactDroppedDuringTheHookIsMended(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	begun, end := filepath.Join(t.TempDir(), "begun"), filepath.Join(t.TempDir(), "end")
	r.cfg.Apps["web"] = r.hook(App{}, "touch "+begun+"; until [ -e "+end+" ]; do sleep 0.01; done")
	g := r.goods(big("cached", 2))
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	eventually(t, "the hook runs", func() bool { return exists(begun) })
	cached := r.path("cache", g.manifest.SHA256.String())
	corrupt(t, cached)
	a.copier.Drop(g.manifest.InfoHash)
	a.dropped(g.manifest.InfoHash)
	eventually(t, "the bad file is gone", func() bool { return !exists(cached) })
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is offered", func() bool { return a.copier.isOffered(g.manifest.InfoHash) && exists(cached) })
	eventually(t, "the live release is whole", func() bool { return r.read("apps/web/current/artifact") == big("cached", 2) })
	r.office.await(t, "d-1", release.Active)
}

// corrupt flips a byte, and keeps the file's size.
func corrupt(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCorruptDownloadIsFetchedAgain(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	d := newDoor(2 * chunk)
	r.gate = d.pass
	g := r.goods(big("part", 3))
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	<-d.reached
	a.stop(t)
	// A copier checks no pieces, so that the whole digest must find it.
	corrupt(t, r.path("cache", "."+g.manifest.SHA256.String()+".part"))
	r.gate = nil
	a = r.start()
	if got := r.office.await(t, "d-1", release.Failed); !strings.Contains(got.Reason, "artifact's sha256 is") {
		t.Errorf("reason is %q", got.Reason)
	}
	if got := names(t, r.path("cache")); len(got) > 0 || a.copier.isOffered(g.manifest.InfoHash) {
		t.Errorf("left: %q", got)
	}
	r.office.give(g.order("d-2", "web", "1"))
	if got := r.office.await(t, "d-2", release.Active); got.Bytes.Seeder != g.manifest.Size {
		t.Errorf("bytes are %+v", got.Bytes)
	}
}

func TestOldCacheIsSweptAtStart(t *testing.T) {
	r := newRig(t)
	g, old := r.goods("build"), makeGoods(t, []byte("old"), release.FormatFile)
	r.live(App{}, g)
	for _, name := range []string{old.manifest.SHA256.String(), "." + old.manifest.SHA256.String() + ".part", "." + old.manifest.SHA256.String() + ".part.pieces"} {
		if err := os.WriteFile(r.path("cache", name), []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(r.path("cache", "note"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	eventually(t, "the old artifact is gone", func() bool {
		return slices.Equal(names(t, r.path("cache")), slices.Sorted(slices.Values([]string{g.manifest.SHA256.String(), "note"})))
	})
}
