package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/release"
	"crow/internal/store"
	"crow/peer/admin"
)

// cluttered is a host with four releases of an app, of which keep now spares two.
func (r *rig) cluttered() (all []goods) {
	r.t.Helper()
	r.cfg.Apps["*"] = App{Keep: 9, Unpack: true}
	a := r.start()
	for i := range 4 {
		g := r.archive(map[string]string{"page": big(fmt.Sprint(i), 8)})
		all = append(all, g)
		deploy := fmt.Sprint("d-", i)
		r.office.give(g.order(deploy, "web", fmt.Sprint(i)))
		r.office.await(r.t, deploy, release.Active)
	}
	a.stop(r.t)
	r.cfg.Apps["*"] = App{Keep: 2, Unpack: true}
	return all
}

// A release that a link was set to by hand, however, is somebody's.
func TestClearSparesWhatTheLinkLeadsTo(t *testing.T) {
	for _, running := range []bool{true, false} {
		r := newRig(t)
		r.log = nopLog
		r.timing.look = time.Hour
		r.cluttered()
		if running {
			r.start()
			eventually(t, "it answers", func() bool { _, err := Clear(t.Context(), r.cfg, true, nopLog); return err == nil })
		}
		r.setLink(r.path("apps/web/0"))
		r.clear(false)
		if got := names(t, r.path("apps/web")); !slices.Equal(got, []string{"0", "2", "3", "current"}) {
			t.Errorf("agent runs: %t, left: %q", running, got)
		}
	}
}

// orphan adds an artifact that nobody needs, in whole and in part.
func (r *rig) orphan() string {
	r.t.Helper()
	digest := strings.Repeat("ab", 32)
	for _, name := range []string{digest, "." + digest + ".part"} {
		if err := os.WriteFile(r.path("cache", name), make([]byte, 64<<10), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	return digest
}

func TestClear(t *testing.T) {
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprint("agent runs: ", running), func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			all := r.cluttered()
			if running {
				a := r.start()
				eventually(t, "cache is offered", func() bool { return a.copier.isOffered(all[3].manifest.InfoHash) })
			}
			mkdir(t, r.path("apps/web/.7.tmp-1/half"))
			want := []string{
				"release web@0", "release web@1", "leftover web/.7.tmp-1",
				"artifact " + all[0].manifest.SHA256.String(), "artifact " + all[1].manifest.SHA256.String(),
			}
			if !running { // an agent would remove it at any time
				want = append(want, "artifact "+r.orphan())
			}
			slices.Sort(want)
			before, err := measure(r.path(), nil)
			if err != nil {
				t.Fatal(err)
			}
			tried := r.clear(true)
			if got := itemsOf(tried); !slices.Equal(got, want) || tried.Bytes < 4*8*chunk {
				t.Errorf("dry run: %q, %d bytes, want %q", got, tried.Bytes, want)
			}
			if !exists(r.path("apps/web/0/page")) || !exists(r.path("cache", all[0].manifest.SHA256.String())) {
				t.Error("a dry run removed something")
			}
			done := r.clear(false)
			if got := itemsOf(done); !slices.Equal(got, want) || done.Bytes != tried.Bytes {
				t.Errorf("removed %q, %d bytes, want %q, %d bytes", got, done.Bytes, want, tried.Bytes)
			}
			after, err := measure(r.path(), nil)
			// The state folder has a few documents less, too.
			if freed := before - after; err != nil || freed < done.Bytes || freed > done.Bytes+128<<10 {
				t.Errorf("%d bytes were freed, %d were told, %v", freed, done.Bytes, err)
			}
			if got := names(t, r.path("apps/web")); !slices.Equal(got, []string{"2", "3", "current"}) {
				t.Errorf("left: %q", got)
			}
			if again := r.clear(false); len(again.Removed) != 0 || again.Bytes != 0 {
				t.Errorf("a second time: %+v", again)
			}
		})
	}
}

func (r *rig) clear(dryRun bool) admin.Cleared {
	r.t.Helper()
	out, err := Clear(r.t.Context(), r.cfg, dryRun, nopLog)
	if err != nil || out.DryRun != dryRun || out.Schema != admin.Schema || len(out.Busy) > 0 {
		r.t.Fatalf("%+v, %v", out, err)
	}
	return out
}

func itemsOf(out admin.Cleared) (all []string) {
	for _, item := range out.Removed {
		all = append(all, string(item.Kind)+" "+item.Name)
	}
	slices.Sort(all)
	return all
}

// What one release has alone is freed with it; what the cache has too, with that.
func TestFreedCountsTheLastLink(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	if err := errors.Join(os.WriteFile(one, make([]byte, 1<<20), 0o600), os.Link(one, two)); err != nil {
		t.Fatal(err)
	}
	f := freed{}
	if a, b := f.add(one), f.add(two); a != 0 || b != 1<<20 {
		t.Errorf("first link %d, last link %d", a, b)
	}
}

func TestClearPassesOverBusyApps(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	d := newDoor(chunk)
	r.gate = d.pass
	r.start()
	r.office.give(r.goods(big("slow", 2)).order("d-1", "web", "1"))
	<-d.reached
	out, err := Clear(t.Context(), r.cfg, false, nopLog)
	if err != nil || !slices.Equal(out.Busy, []string{"web"}) || len(out.Removed) > 0 {
		t.Errorf("%+v, %v", out, err)
	}
	d.open()
	r.office.await(t, "d-1", release.Active)
}

// One app that cannot be cleared is named, and keeps no other from it.
func TestClearGoesOnPastTrouble(t *testing.T) {
	for _, running := range []bool{true, false} {
		t.Run(fmt.Sprint("agent runs: ", running), func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			r.ownDisk("64m")
			r.cluttered()
			a := r.start()
			r.office.give(r.page("db").order("d-db", "db", "1"))
			r.office.await(t, "d-db", release.Active)
			a.stop(t)
			if running {
				r.start()
				eventually(t, "it answers", func() bool { _, err := Clear(t.Context(), r.cfg, true, nopLog); return err == nil })
			}
			for _, app := range []string{"db", "web"} {
				mkdir(t, r.path("apps", app, ".7.tmp-1"))
			}
			thaw := r.freeze("apps/db")
			out, err := Clear(t.Context(), r.cfg, false, nopLog)
			if err != nil || len(out.Trouble) != 1 || out.Trouble[0].App != "db" || !strings.Contains(out.Trouble[0].Error, ".7.tmp-1") {
				t.Errorf("%+v, %v", out.Trouble, err)
			}
			if got := itemsOf(out); len(got) != 5 || !slices.Contains(got, "release web@0") || slices.Contains(got, "leftover db/.7.tmp-1") {
				t.Errorf("removed %q", got)
			}
			if got := names(t, r.path("apps/web")); !slices.Equal(got, []string{"2", "3", "current"}) {
				t.Errorf("left: %q", got)
			}
			thaw()
			if got := itemsOf(r.clear(false)); !slices.Equal(got, []string{"leftover db/.7.tmp-1"}) {
				t.Errorf("once it can be, %q is removed", got)
			}
		})
	}
}

// An app of which nobody knows what it needs keeps its artifacts, and no other
// app's releases.
func TestClearBesideAnUnreadableRecord(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	all := r.cluttered()
	if err := os.WriteFile(r.path("state/docs/app/db"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := Clear(t.Context(), r.cfg, false, nopLog)
	if err != nil || len(out.Trouble) != 2 || out.Trouble[0].App != "db" || out.Trouble[1].App != "" {
		t.Errorf("%+v, %v", out.Trouble, err)
	}
	if got := itemsOf(out); !slices.Equal(got, []string{"release web@0", "release web@1"}) {
		t.Errorf("removed %q", got)
	}
	if !exists(r.path("cache", all[0].manifest.SHA256.String())) {
		t.Error("an artifact is gone")
	}
}

func TestClearWithoutItsAgent(t *testing.T) {
	r := newRig(t)
	if _, err := Clear(t.Context(), r.cfg, true, nopLog); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("where none ever ran: %v", err)
	}
	kill := r.startVictim(0)
	// The kernel makes it by the umask, in a folder that only the agent's user enters.
	eventually(t, "socket for the agent's user alone", func() bool {
		fi, err := os.Stat(r.path("state/agent.sock"))
		return err == nil && fi.Mode().Perm() == 0o600
	})
	kill() // its socket stays
	if _, err := Clear(t.Context(), r.cfg, false, nopLog); err != nil {
		t.Errorf("beside the socket of an agent that was killed: %v", err)
	}
	_, closeStore := r.openState()
	if _, err := Clear(t.Context(), r.cfg, false, nopLog); !errors.Is(err, store.ErrLocked) {
		t.Errorf("of an agent that does not answer: %v", err)
	}
	closeStore()
	a := r.start() // and the next agent takes its place
	eventually(t, "answer", func() bool { _, err := Clear(t.Context(), r.cfg, true, nopLog); return err == nil })
	a.stop(t)
	if exists(r.path("state/agent.sock")) {
		t.Error("the socket of an agent that ended is left")
	}
}

func TestSocketOfALongPath(t *testing.T) {
	r := newRig(t)
	r.cfg.DataDir = filepath.Join(t.TempDir(), strings.Repeat("long", 30))
	r.start()
	out, err := admin.NewClient(r.path("state")).Clear(t.Context(), true)
	if err != nil || !out.DryRun {
		t.Errorf("%+v, %v", out, err)
	}
}

func TestAbandonedCallEnds(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	a := r.start()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := admin.NewClient(r.path("state")).Clear(ctx, true); err == nil {
		t.Error("a call without time was answered")
	}
	a.stop(t)
}

// What a job came for between the look and the removal stays, and is not told as
// removed.
func TestClearTellsOfWhatIsGone(t *testing.T) {
	r := newRig(t)
	gone, stays := r.path("gone"), r.path("stays")
	mkdir(t, stays)
	c := newClearing(&host{}, true)
	c.note(admin.Release, "web@1", gone)
	c.note(admin.Release, "db@1", stays)
	c.out.Bytes, c.out.Removed[0].Bytes = c.out.Bytes+7, 7
	c.confirm()
	if got := itemsOf(c.out); !slices.Equal(got, []string{"release web@1"}) || c.out.Bytes != 7 {
		t.Errorf("%q, %d bytes", got, c.out.Bytes)
	}
}

// Under another user's name it would leave documents that the agent cannot read.
func TestClearAsAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	r := newRig(t)
	r.start().stop(t)
	if err := os.Chown(r.path("state"), 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, err := Clear(t.Context(), r.cfg, true, nopLog); !errors.Is(err, release.ErrInvalid) || !strings.Contains(err.Error(), "65534") {
		t.Errorf("error is %v", err)
	}
}
