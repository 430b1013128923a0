package peer

import (
	"slices"
	"testing"
	"time"

	"crow/internal/release"
)

func TestMeter(t *testing.T) {
	var m meter
	for _, step := range []struct {
		second      float64
		bytes, want int64
	}{
		{0, 0, 0}, {0, 100, 0}, {1, 1000, 1000}, {2, 4000, 2000}, {5, 4000, 780}, {6, 4000, 600}, {7, 4000, 0}, {12, 4000, 0}, {13, 10_000, 1000}, {14, 9000, 714},
	} {
		at := time.Unix(0, 0).Add(time.Duration(step.second * float64(time.Second)))
		if got := m.rate(at, step.bytes); got != step.want {
			t.Errorf("at %g s, %d bytes: %d a second, want %d", step.second, step.bytes, got, step.want)
		}
	}
	if len(m.samples) > 4 {
		t.Errorf("%d samples are kept", len(m.samples))
	}
}

func TestRateIsToldWhileFetching(t *testing.T) {
	r := newRig(t)
	d := newDoor(2 * chunk)
	r.gate = d.pass
	r.start()
	r.office.give(r.goods(big("rate", 4)).order("d-1", "web", "1"))
	r.office.until(t, "a rate", func() bool { j, _ := r.office.job("d-1"); return j.Phase == release.Fetching && j.Rate > 0 })
	d.open()
	if got := r.office.await(t, "d-1", release.Active); got.Rate != 0 {
		t.Errorf("report is %+v", got)
	}
}

func TestFailedFetchHasNoRate(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.timing.stall = 300 * time.Millisecond
	r.gate = newDoor(2 * chunk).pass
	r.start()
	r.office.give(r.goods(big("rate", 4)).order("d-1", "web", "1"))
	if got := r.office.await(t, "d-1", release.Failed); got.Rate != 0 {
		t.Errorf("report is %+v", got)
	}
}

func TestReportTellsStagedReleasesAndRoom(t *testing.T) {
	r := newRig(t)
	r.start()
	one, two := r.goods("one"), r.goods("two")
	r.office.give(one.order("d-1", "web", "9"))
	r.office.await(t, "d-1", release.Active)
	r.office.give(fetchOnly(two.order("d-2", "web", "10")), one.order("d-3", "db", "1"))
	r.office.await(t, "d-2", release.Staged)
	r.office.await(t, "d-3", release.Active)
	var free *int64
	r.office.until(t, "staged releases, sorted", func() bool {
		got := r.office.newest["web-1"]
		free = got.Free
		return slices.Equal(got.Staged["web"], []string{"10", "9"}) && slices.Equal(got.Staged["db"], []string{"1"})
	})
	if free == nil || *free <= 0 {
		t.Errorf("free is %v", free)
	}
}

// Reports that say what an older seeder does not know are worded for it.
func TestOldSeederIsReportedTo(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.office.set(func() { r.office.old = true })
	r.cfg.Apps["web"] = r.check(checked(), "true")
	r.start()
	r.office.give(attempt(r.goods("build").order("d-1", "web", "1"), 1))
	if got := r.office.await(t, "d-1", release.Active); got.Check != nil || got.Attempt != 0 {
		t.Errorf("report is %+v", got)
	}
}
