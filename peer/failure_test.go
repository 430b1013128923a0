package peer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/release"
	"crow/internal/swarm"
)

func TestFailures(t *testing.T) {
	tests := []struct {
		name  string
		setup func(r *rig) goods
		want  string // what the reason begins with
	}{
		{"app without a config", func(r *rig) goods {
			delete(r.cfg.Apps, "*")
			return r.goods("x")
		}, `order: app "web" is not in this host's config: add it under apps`},
		{"no archive", func(r *rig) goods {
			r.cfg.Apps["web"] = App{Unpack: true}
			return r.goods("x")
		}, `order: unpack is true for app "web", but the artifact of web@1 is no archive`},
		{"bad manifest", func(r *rig) goods {
			g := r.goods("x")
			g.manifest.PieceLength = 3
			return g
		}, "order: invalid manifest of web@1: piece length 3"},
		{"no room", func(r *rig) goods {
			r.cfg.DiskMargin = 1 << 60
			return r.goods("x")
		}, "fetch: disk full: need 1048576 TiB in "},
		{"disk full in mid-transfer", func(r *rig) goods {
			r.gate = func(_ context.Context, _ release.Digest, off int64) error {
				if off > 0 {
					return &os.PathError{Op: "write", Path: "x", Err: unix.ENOSPC}
				}
				return nil
			}
			return r.goods(big("x", 2))
		}, "fetch: disk full: write x: no space left on device"},
		{"wrong bytes", func(r *rig) goods {
			g := r.goods("right")
			if err := os.WriteFile(r.store.path(g.manifest.InfoHash), []byte("wrong"), 0o600); err != nil {
				r.t.Fatal(err)
			}
			return g
		}, "verify: artifact's sha256 is "},
		{"torrent of something else", func(r *rig) goods {
			g := r.goods("right")
			r.office.torrents[g.manifest.SHA256] = makeGoods(r.t, []byte("other"), 0).torrent
			return g
		}, "fetch: torrent of web@1: infohash "},
		{"torrent of another size", func(r *rig) goods {
			g := r.goods("right")
			g.manifest.Size++
			return g
		}, "fetch: torrent of web@1: size 5 differs from the manifest's 6"},
		{"garbage for a torrent", func(r *rig) goods {
			g := r.goods("right")
			r.office.torrents[g.manifest.SHA256] = []byte("d8:announce")
			return g
		}, "fetch: torrent of web@1: invalid torrent"},
		{"no torrent", func(r *rig) goods { return makeGoods(r.t, []byte("nobody has it"), 0) }, "fetch: get torrent: "},
		{"archive that leaves its folder", func(r *rig) goods {
			r.cfg.Apps["web"] = App{Unpack: true}
			return r.archive(map[string]string{"../../etc/passwd": "root"})
		}, `stage: unpack "../../etc/passwd": refused`},
		{"hook fails", func(r *rig) goods {
			r.cfg.Apps["web"] = r.hook(App{}, "echo sorry; exit 42")
			return r.goods("x")
		}, "hook: exited with status 42"},
		{"hook hangs", func(r *rig) goods {
			r.cfg.Apps["web"] = r.hook(App{HookTimeout: 50 * time.Millisecond}, "sleep 60")
			return r.goods("x")
		}, "hook: timed out after 50ms"},
		{"hook is not there", func(r *rig) goods {
			r.cfg.Apps["web"] = App{Hook: []string{"/nowhere/hook"}}
			return r.goods("x")
		}, "hook: start /nowhere/hook: no such file"},
		{"current is no link", func(r *rig) goods {
			if err := os.MkdirAll(r.path("apps/web/current/x"), 0o700); err != nil {
				r.t.Fatal(err)
			}
			return r.goods("x")
		}, "activate: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			g := test.setup(r)
			r.start()
			r.office.give(g.order("d-1", "web", "1"))
			got := r.office.await(t, "d-1", release.Failed)
			if !strings.HasPrefix(got.Reason, test.want) || strings.Contains(got.Reason, "\n") {
				t.Errorf("reason is %q, want %q in one line", got.Reason, test.want)
			}
			eventually(t, "no temporary files", func() bool { return len(leftovers(t, r)) == 0 })
		})
	}
}

// leftovers are files that no release needs.
func leftovers(t *testing.T, r *rig) (found []string) {
	err := filepath.WalkDir(r.path(), func(path string, e os.DirEntry, err error) error {
		if err == nil && (isTemp(e.Name()) || strings.HasSuffix(e.Name(), partSuffix)) {
			found = append(found, path)
		}
		return nil // a folder may go while it is walked
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestStalledFetchFails(t *testing.T) {
	r := newRig(t)
	r.timing.stall = 300 * time.Millisecond
	r.log = nopLog
	d := newDoor(2 * chunk)
	r.gate = d.pass
	g := r.goods(big("slow", 4))
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	got := r.office.await(t, "d-1", release.Failed)
	if want := "fetch: stalled: nothing arrived for 300ms, 64 KiB of 128 KiB are here; no neighbour has what is missing"; got.Reason != want {
		t.Errorf("reason is %q, want %q", got.Reason, want)
	}
	// A new deploy goes on where the failed one stood.
	d.open()
	r.office.give(g.order("d-2", "web", "1"))
	if got := r.office.await(t, "d-2", release.Active); got.Bytes != (release.Bytes{Local: 2 * chunk, Seeder: 2 * chunk}) {
		t.Errorf("second deploy's bytes: %+v", got.Bytes)
	}
	if n := a.copier.bytesCopied(g.manifest.InfoHash); n != g.manifest.Size {
		t.Errorf("%d bytes were copied of %d", n, g.manifest.Size)
	}
}

func TestStalledFetchSaysWhatItHas(t *testing.T) {
	for _, test := range []struct {
		p    swarm.Progress
		want string
	}{
		{swarm.Progress{Done: 48 << 20, Size: 57 << 20}, "; no neighbour has what is missing"},
		{swarm.Progress{Done: 48 << 20, Size: 57 << 20, Neighbours: 1, Rejected: 1}, "; 1 piece arrived damaged: a copy in the swarm is bad; 1 neighbour"},
		{swarm.Progress{Done: 48 << 20, Size: 57 << 20, Neighbours: 4, Rejected: 3}, "; 3 pieces arrived damaged: a copy in the swarm is bad; 4 neighbours"},
	} {
		want := "stalled: nothing arrived for 5m0s, 48 MiB of 57 MiB are here" + test.want
		if got := stalled(test.p, 5*time.Minute); got.Error() != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A piece that arrives damaged again and again is no headway.
func TestDamagedPiecesAreNoHeadway(t *testing.T) {
	r := newRig(t)
	r.timing.stall = 300 * time.Millisecond
	r.log = nopLog
	g := r.goods(big("bad", 4))
	a := r.start()
	a.copier.damaged.Store(true)
	r.office.give(g.order("d-1", "web", "1"))
	got := r.office.await(t, "d-1", release.Failed)
	if !strings.HasPrefix(got.Reason, "fetch: stalled: ") || !strings.Contains(got.Reason, "pieces arrived damaged") {
		t.Errorf("reason is %q", got.Reason)
	}
}

func TestFailureIsFinalForItsDeploy(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	ran := filepath.Join(t.TempDir(), "ran")
	r.cfg.Apps["web"] = r.hook(App{}, "echo $CROW_DEPLOY,$CROW_PREVIOUS_VERSION >> "+ran+"; [ $CROW_DEPLOY != d-2 ]")
	old, g := r.goods("old"), r.goods("new")
	a := r.start()
	r.office.give(old.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	r.office.give(g.order("d-2", "web", "2"))
	failed := r.office.await(t, "d-2", release.Failed)
	r.office.until(t, "the failed release as running", func() bool { return r.office.newest["web-1"].Running["web"] == "2" })

	a.stop(t)
	r.office.set(func() { clear(r.office.newest) })
	r.start()
	if got := r.office.await(t, "d-2", release.Failed); got.Reason != failed.Reason || got.Hook == nil || got.Hook.Exit != 1 {
		t.Errorf("after a restart: %+v, want %+v", got, failed)
	}
	r.office.give(g.order("d-3", "web", "2"))
	if got := r.office.await(t, "d-3", release.Active); got.Unchanged {
		t.Error("a release whose hook failed counts as live")
	}
	if got := lines(ran); !slices.Equal(got, []string{"d-1,", "d-2,1", "d-3,1"}) {
		t.Errorf("hook ran for %q", got)
	}
}

func TestLiveVersionWithOtherContentIsRefused(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	one, other := r.goods("one"), r.goods("other")
	r.start()
	r.office.give(one.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	r.office.give(other.order("d-2", "web", "1"))
	if got := r.office.await(t, "d-2", release.Failed); !strings.HasPrefix(got.Reason, "order: web@1 is live here with other content") {
		t.Errorf("reason is %q", got.Reason)
	}
	if r.read("apps/web/current/artifact") != "one" {
		t.Error("the live release was touched")
	}
}

func TestOpenUndoesItsWork(t *testing.T) {
	r := newRig(t)
	taken := r.start()
	if _, err := r.open(); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("second agent on one data_dir: %v", err)
	}
	held := r.cfg
	r.cfg = quietConfig(t.TempDir(), r.office.url())
	for _, spoil := range []func(*Config){
		func(c *Config) { c.GossipListen = taken.GossipAddr().String() },
		func(c *Config) { c.GossipKeyFile = r.path("no-key") },
		func(c *Config) { c.MetricsListen = r.office.addr },
	} {
		good := r.cfg
		spoil(&r.cfg)
		if _, err := r.open(); err == nil {
			t.Error("opened with a port in use or without its key")
		}
		r.cfg = good
	}
	again, err := r.open() // nothing was left locked
	if err != nil {
		t.Fatal(err)
	}
	if err := again.release(); err != nil {
		t.Error(err)
	}
	r.cfg = held
}
