package seeder

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// restore undoes obstruct.
func (d *desk) restore(kind string) {
	folder := filepath.Join(d.path, "docs", kind)
	if err := os.Remove(folder); err != nil {
		d.t.Fatal(err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		d.t.Fatal(err)
	}
}

// TestSteeringIsOnDiskOrNothing: what cannot be written has not happened, and the
// disk is brought back in line with that.
func TestSteeringIsOnDiskOrNothing(t *testing.T) {
	for _, s := range []control.Steer{{Verb: control.VerbAbort}, {Verb: control.VerbPause}} {
		d, made := waved(t, release.Rollout{Waves: halves})
		d.pass(5 * time.Second)
		d.obstruct(kindResult)
		if _, err := d.steered(made.ID, s, "op", d.now); err == nil {
			t.Errorf("%s: answered without being on disk", s.Verb)
		}
		d.wantPhase(made.ID, release.DeployRunning)
		d.wantGoals("h0 h1")
		if !made.dirty {
			t.Errorf("%s: what the disk has by now is not written anew", s.Verb)
		}
		d.restore(kindResult)
		d.must(made.ID, s)
		want := d.shown(made.ID).Phase
		d.reopen()
		d.wantPhase(made.ID, want)
	}
}

// TestKeyThatIsNotOnDisk is not answered with the deploy: after a restart it would get
// another.
func TestKeyThatIsNotOnDisk(t *testing.T) {
	d, made := waved(t, release.Rollout{})
	d.obstruct(kindKey)
	req := request("web", "2", "name=*")
	req.Key = "ci-1"
	for range 2 {
		if _, err := d.deploy(req, d.now); err == nil {
			t.Fatal("the key was taken")
		}
	}
	d.restore(kindKey)
	if again, err := d.deploy(req, d.now); err != nil || again != made {
		t.Fatalf("got %v, %v", again, err)
	}
	d.reopen()
	if again, err := d.deploy(req, d.now); err != nil || again.ID != made.ID {
		t.Errorf("after a restart: %v, %v", again, err)
	}
}

// TestRowsOfHostsThatAreGone: a fleet whose hosts come and go under names of their own
// does not make a deploy's documents grow for ever.
func TestRowsOfHostsThatAreGone(t *testing.T) {
	d := fleetOf(t, 1)
	first := d.deploys.newest("web")
	for i := range 20 {
		name := fmt.Sprintf("auto-%d", i)
		d.join(name, nil)
		d.pass(time.Second)
		d.leave(name)
		if _, err := d.forget(name, d.now); err != nil {
			t.Fatal(err)
		}
	}
	if len(first.rows) != 1 {
		t.Errorf("%d rows of a deploy to 1 host", len(first.rows))
	}
	d.pass(5 * time.Second)
	d.reopen()
	if s := d.shown(first.ID); len(s.Hosts) != 1 {
		t.Errorf("after a restart %d hosts are shown", len(s.Hosts))
	}
}
