package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/swarm"
)

// Environment of a victim: the data directory, the seeder, the warehouse, the
// offset at which its fetches wait for ever, its hook and its check.
const (
	victimEnv     = "CROW_TEST_VICTIM"
	victimSeeder  = "CROW_TEST_SEEDER"
	victimStore   = "CROW_TEST_STORE"
	victimDoor    = "CROW_TEST_DOOR"
	victimHook    = "CROW_TEST_HOOK"
	victimCheck   = "CROW_TEST_CHECK"
	victimForever = 1 << 40
)

// victim is an agent in a process of its own, until it is killed.
func victim() int {
	limit, err := strconv.ParseInt(os.Getenv(victimDoor), 10, 64)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	cfg := quietConfig(os.Getenv(victimEnv), os.Getenv(victimSeeder))
	var app App
	for name, program := range map[string]*[]string{victimHook: &app.Hook, victimCheck: &app.Check} {
		if path := os.Getenv(name); path != "" {
			*program = []string{"/bin/sh", path}
		}
	}
	cfg.Apps["*"] = app
	c := newCopier(warehouse{os.Getenv(victimStore)})
	c.gate = newDoor(limit).pass
	p, err := open(cfg, Options{Log: zap.NewNop()}, quick(), func(swarm.Config) (node, error) { return c, nil })
	if err == nil {
		err = p.Run(context.Background())
	}
	fmt.Fprintln(os.Stderr, err)
	return 2
}

// startVictim runs an agent on the rig's data directory and returns how to kill
// it, with signal 9 and nothing else.
func (r *rig) startVictim(door int64) (kill func()) {
	r.t.Helper()
	exe, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), victimEnv+"="+r.cfg.DataDir, victimSeeder+"="+r.office.url(),
		victimStore+"="+r.store.dir, victimDoor+"="+strconv.FormatInt(door, 10))
	for name, program := range map[string][]string{victimHook: r.cfg.Apps["*"].Hook, victimCheck: r.cfg.Apps["*"].Check} {
		if len(program) > 0 {
			cmd.Env = append(cmd.Env, name+"="+program[1])
		}
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	dead := false
	kill = func() {
		if !dead {
			dead = true
			cmd.Process.Signal(syscall.SIGKILL)
			cmd.Wait()
		}
	}
	r.t.Cleanup(kill)
	return kill
}

func TestKilledInFetch(t *testing.T) {
	r := newRig(t)
	g := r.goods(big("killed", 8))
	kill := r.startVictim(5 * chunk)
	r.office.give(g.order("d-1", "web", "1"))
	part := r.path("cache", "."+g.manifest.SHA256.String()+".part")
	eventually(t, "five chunks are there", func() bool {
		return journal(part) == 5*chunk && strings.Contains(r.read("state/docs/app/web"), fmt.Sprintf(`"seeder":%d`, 5*chunk))
	})
	kill()
	r.office.kill() // the next life goes on without a seeder, from what is on disk

	a := r.start()
	eventually(t, "release is live", func() bool { return r.current("web") == "1" })
	if n := a.copier.bytesCopied(g.manifest.InfoHash); n != 3*chunk {
		t.Errorf("%d bytes were fetched after the restart, want %d", n, 3*chunk)
	}
	r.office.start(t)
	got := r.office.await(t, "d-1", release.Active)
	if got.Bytes != (release.Bytes{Seeder: 8 * chunk}) {
		t.Errorf("bytes are %+v", got.Bytes)
	}
	if left := leftovers(t, r); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestKilledInHook(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.cfg.Apps["*"] = r.hook(App{}, "cd "+dir+`
		echo begin >> log
		while [ ! -e go ]; do sleep 0.01; done
		echo end >> log`)
	g := r.goods("build")
	kill := r.startVictim(victimForever)
	r.office.give(g.order("d-1", "web", "1"))
	log := filepath.Join(dir, "log")
	eventually(t, "hook runs", func() bool { return len(lines(log)) == 1 })
	kill()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.office.await(t, "d-1", release.Active)
	// The first hook outlived its agent; the second came after its end.
	if got := lines(log); !slices.Equal(got, []string{"begin", "end", "begin", "end"}) {
		t.Errorf("hooks: %q", got)
	}
}

// TestKilledBetweenSteps builds what a kill leaves between any two steps of
// staging and activation, and looks that the next life gets to the same end.
func TestKilledBetweenSteps(t *testing.T) {
	const version = "2"
	tests := []struct {
		name  string
		leave func(t *testing.T, r *rig, g goods, rec *record)
	}{
		{"verified", func(t *testing.T, r *rig, g goods, _ *record) {
			content, err := os.ReadFile(r.store.path(g.manifest.InfoHash))
			if err == nil {
				err = os.WriteFile(r.path("cache", g.manifest.SHA256.String()), content, 0o400)
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
		{"in the temporary folder", func(t *testing.T, r *rig, _ goods, _ *record) {
			mkdir(t, r.path("apps/web/.2.tmp-123/half"))
			mkdir(t, r.path("apps/web/.1.tmp-7"))
		}},
		{"after the rename, before its record", func(t *testing.T, r *rig, _ goods, _ *record) {
			mkdir(t, r.path("apps/web/2/half"))
		}},
		{"staged", func(t *testing.T, r *rig, g goods, rec *record) { placeRelease(t, r, g, rec, version) }},
		{"intent is written, link is not", func(t *testing.T, r *rig, g goods, rec *record) {
			placeRelease(t, r, g, rec, version)
			rec.Activating = &intent{Deploy: "d-2", Version: version}
		}},
		{"the new link has its temporary name", func(t *testing.T, r *rig, g goods, rec *record) {
			placeRelease(t, r, g, rec, version)
			rec.Activating = &intent{Deploy: "d-2", Version: version}
			if err := os.Symlink("2", r.path("apps/web", linkTemp)); err != nil {
				t.Fatal(err)
			}
		}},
		{"link is swapped, hook has not run", func(t *testing.T, r *rig, g goods, rec *record) {
			placeRelease(t, r, g, rec, version)
			rec.Activating = &intent{Deploy: "d-2", Version: version}
			if err := swap(r.path("apps/web"), version); err != nil {
				t.Fatal(err)
			}
		}},
		{"while old releases were renamed away", func(t *testing.T, r *rig, g goods, rec *record) {
			rec.stage(placed{Version: "0"})
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			ran := filepath.Join(t.TempDir(), "ran")
			r.cfg.Apps["web"] = r.hook(App{}, "echo $CROW_VERSION,$CROW_PREVIOUS_VERSION >> "+ran)
			old, g := r.goods("old"), r.goods("new")
			a := r.start()
			r.office.give(old.order("d-1", "web", "1"))
			r.office.await(t, "d-1", release.Active)
			a.stop(t)

			order := g.order("d-2", "web", version)
			r.remember(order, func(rec *record) { test.leave(t, r, g, rec) })
			r.office.give(order)
			r.start()
			r.office.await(t, "d-2", release.Active)
			if got := lines(ran); !slices.Equal(got, []string{"1,", "2,1"}) {
				t.Errorf("hooks: %q", got)
			}
			eventually(t, "only releases are left", func() bool {
				return slices.Equal(names(t, r.path("apps/web")), []string{"1", "2", "current"})
			})
			if r.read("apps/web/current/artifact") != "new" || exists(r.path("apps/web/2/half")) {
				t.Error("the new release is not what is live")
			}
		})
	}
}

// remember writes down, while no agent runs, an order that an agent took and
// how far it came with it.
func (r *rig) remember(o control.Order, change func(*record)) {
	r.t.Helper()
	s, closeStore := r.openState()
	defer closeStore()
	rec := s.app(layout{r.cfg.DataDir}, o.Manifest.App)
	change(&rec)
	if err := errors.Join(s.putOrders(control.Orders{Orders: []control.Order{o}}), s.putApp(o.Manifest.App, rec)); err != nil {
		r.t.Fatal(err)
	}
}

func placeRelease(t *testing.T, r *rig, g goods, rec *record, version string) {
	t.Helper()
	cached := r.path("cache", g.manifest.SHA256.String())
	content, err := os.ReadFile(r.store.path(g.manifest.InfoHash))
	if err != nil {
		t.Fatal(err)
	}
	mkdir(t, r.path("apps/web", version))
	for _, err := range []error{
		os.WriteFile(cached, content, 0o600), os.Link(cached, r.path("apps/web", version, artifactName)),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	rec.stage(placed{Version: version, SHA256: g.manifest.SHA256})
}

func mkdir(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestStoppedInHookIsNoFailure(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.cfg.Apps["web"] = r.hook(App{}, "cd "+dir+"; echo begin >> log; [ -e go ] || sleep 60; until [ -e on ]; do sleep 0.01; done; echo end >> log")
	g := r.goods("build")
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	log := filepath.Join(dir, "log")
	eventually(t, "hook runs", func() bool { return len(lines(log)) == 1 })
	a.stop(t)
	if got := lines(log); len(got) != 1 {
		t.Fatalf("hook went on: %q", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.office.until(t, "word that it is done again", func() bool {
		j, _ := r.office.job("d-1")
		return j.Phase == release.Activating && j.Reason == reasonAgain
	})
	touch(t, filepath.Join(dir, "on"))
	if got := r.office.await(t, "d-1", release.Active); got.Reason != "" || got.Hook == nil || got.Hook.Exit != 0 {
		t.Errorf("report is %+v", got)
	}
	if got := lines(log); !slices.Equal(got, []string{"begin", "begin", "end"}) {
		t.Errorf("hooks: %q", got)
	}
	if slices.Contains(r.office.phases("d-1"), release.Failed) {
		t.Errorf("phases: %v", r.office.phases("d-1"))
	}
}

// A host whose agent ended in the hook has fetched what it has for this very deploy.
func TestBytesOutliveAKillInTheHook(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.cfg.Apps["*"] = r.hook(App{}, "cd "+dir+"; echo begin >> log; while [ ! -e go ]; do sleep 0.01; done")
	g := r.goods(big("build", 2))
	kill := r.startVictim(victimForever)
	r.office.give(g.order("d-1", "web", "1"))
	eventually(t, "hook runs", func() bool { return len(lines(filepath.Join(dir, "log"))) == 1 })
	kill()
	touch(t, filepath.Join(dir, "go"))
	r.start()
	if got := r.office.await(t, "d-1", release.Active); got.Bytes != (release.Bytes{Seeder: 2 * chunk}) {
		t.Errorf("bytes are %+v", got.Bytes)
	}
	r.office.give(g.order("d-2", "web", "2"))
	if got := r.office.await(t, "d-2", release.Active); got.Bytes != (release.Bytes{Local: 2 * chunk}) {
		t.Errorf("of another deploy bytes are %+v", got.Bytes)
	}
}

func TestStoppedInFetchGoesOn(t *testing.T) {
	r := newRig(t)
	d := newDoor(3 * chunk)
	r.gate = d.pass
	g := r.goods(big("stopped", 4))
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	<-d.reached
	a.stop(t)
	r.gate = nil
	r.start()
	if got := r.office.await(t, "d-1", release.Active); got.Bytes != (release.Bytes{Seeder: 4 * chunk}) {
		t.Errorf("bytes are %+v", got.Bytes)
	}
}
