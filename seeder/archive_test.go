package seeder

import (
	"cmp"
	"strings"
	"testing"
	"time"

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
	old, err := d.deploys.recall(oldest)
	if err != nil {
		t.Fatal(err)
	}
	status, err := d.deploys.status(old)
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
	if _, err := d.deploys.archive.read(made.ID); err == nil || !strings.Contains(err.Error(), "turn of host 7 of 1") {
		t.Errorf("it reads, with %v", err)
	}
}
