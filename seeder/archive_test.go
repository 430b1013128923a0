package seeder

import (
	"cmp"
	"errors"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestHistoryIsBounded makes more deploys than are kept, and looks for leaks.
func TestHistoryIsBounded(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	var oldest string
	for range maxHistory + 20 {
		made := d.start("web", "1", "name=*")
		oldest = cmp.Or(oldest, made.ID)
		d.say("a", made, release.Active, "")
	}
	ids, err := d.dir.ListDocs(kindDeploy)
	if err != nil {
		t.Fatal(err)
	}
	if len(ids) > maxHistory+1 || len(d.deploys.byID) != len(ids) || len(d.deploys.awake) != 1 {
		t.Errorf("%d plans on disk, %d in memory, %d awake", len(ids), len(d.deploys.byID), len(d.deploys.awake))
	}
	d.reopen()
	results, err := d.dir.ListDocs(kindResult)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.deploys.byID) != len(ids) || len(results) > len(ids) {
		t.Errorf("after a restart %d plans, %d results", len(d.deploys.byID), len(results))
	}
	one, _ := d.deploys.archive.locate(oldest)
	status, err := d.recall(one)
	if err != nil || status.Phase != release.DeploySucceeded || hostRow(status, "a").Phase != release.Active || d.deploys.byID[oldest] != nil {
		t.Errorf("the oldest deploy reads %+v, %v", status, err)
	}
}

func TestArchiveIsBounded(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	a := d.deploys.archive
	var ids []string
	for range 3 {
		made := d.start("web", "1", "name=*")
		d.say("a", made, release.Active, "")
		ids = append(ids, made.ID)
		if err := a.add(made, d.now); err != nil {
			t.Fatal(err)
		}
		d.now = d.now.Add(time.Hour)
	}
	a.trim(d.now.Add(archiveAge - 90*time.Minute))
	if a.has(ids[0]) || a.has(ids[1]) || !a.has(ids[2]) || a.bytes != a.all[0].size {
		t.Errorf("beyond its time: %+v of %v", a.all, ids)
	}
	a.bytes += archiveBytes
	a.trim(d.now)
	names, err := d.dir.ListDocs(kindArchive)
	if err != nil || len(a.all) != 0 || len(names) != 0 {
		t.Errorf("beyond its size: %v, on disk %v, %v", a.all, names, err)
	}
}

// An archived deploy whose plan makes no sense is no worse than one that cannot be read.
func TestArchivedPlanIsChecked(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.say("a", made, release.Active, "")
	made.Turns = []int{7}
	if err := d.deploys.archive.add(made, d.now); err != nil {
		t.Fatal(err)
	}
	one, _ := d.deploys.archive.locate(made.ID)
	if _, err := d.recall(one); err == nil || !strings.Contains(err.Error(), "turn of host 7 of 1") {
		t.Errorf("it reads, with %v", err)
	}
}

// retire moves a deploy that has ended to the archive, as prune does with old ones.
func (b *books) retire(id string, now time.Time) (archived, error) {
	d := b.deploys.byID[id]
	if err := b.deploys.file(d, now); err != nil {
		return archived{}, err
	}
	delete(b.deploys.byID, id)
	b.deploys.byApp[d.Manifest.App] = slices.DeleteFunc(b.deploys.byApp[d.Manifest.App], func(one *deploy) bool { return one == d })
	one, _ := b.deploys.archive.locate(id)
	return one, b.dir.DeleteDoc(kindDeploy, id)
}

// TestTheArchiveHoldsNobodyUp: while a deploy of the archive is read, however long that
// takes, all others are answered.
func TestTheArchiveHoldsNobodyUp(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	r.push("web", "1")
	a := r.agent("a", nil)
	old := r.deploy("web", "1", "name=*")
	a.finish("web")
	r.deploy("web", "1", "name=a")
	one := must[archived](t)(ask(t.Context(), r.ledger, func(b *books, now time.Time) (archived, error) { return b.retire(old.Deploy, now) }))
	if s := r.status(old.Deploy); s.Deploy != old.Deploy || s.Phase != release.DeploySucceeded || len(s.Hosts) != 1 {
		t.Fatalf("the archive's copy reads %+v", s)
	}
	path := r.store.DocPath(kindArchive, one.name())
	content := must[[]byte](t)(os.ReadFile(path))
	if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
		t.Fatal(err)
	}
	got := make(chan control.DeployStatus)
	reader := r.newClient()
	go func() {
		s, err := reader.Status(t.Context(), old.Deploy, 0, 0)
		if err != nil {
			t.Error(err)
		}
		got <- s
	}()
	slow := must[*os.File](t)(os.OpenFile(path, os.O_WRONLY, 0)) // opens when it is being read
	r.status("web")
	if _, err := slow.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := slow.Close(); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s.Phase != release.DeploySucceeded {
		t.Errorf("the archive's copy reads %+v", s)
	}
}
