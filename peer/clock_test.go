package peer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// farOff is a time that the clock had for a while, until somebody set it right.
var farOff = time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC)

func TestClockThatWasAheadForgetsNothingNew(t *testing.T) {
	var r record
	for i := range maxResults {
		r.conclude(control.JobReport{Deploy: fmt.Sprint("d-", i)}, farOff)
		r.stage(placed{Version: fmt.Sprint(i), Used: farOff})
	}
	now := time.Unix(1_800_000_000, 0)
	for i := range 3 {
		deploy := fmt.Sprint("new-", i)
		r.conclude(control.JobReport{Deploy: deploy}, now)
		if got, _ := r.newestResult(""); got.Deploy != deploy || len(r.Results) != maxResults {
			t.Errorf("the newest of %d results is %q, want %q", len(r.Results), got.Deploy, deploy)
		}
	}
	r.stage(placed{Version: "new", Used: now})
	if got := r.surplus(1, ""); slices.Contains(got, "new") || len(got) != maxResults {
		t.Errorf("to be removed: %q", got)
	}
	for i := range maxResults {
		r.conclude(control.JobReport{Deploy: fmt.Sprint("later-", i)}, now)
	}
	if _, ok := r.Results["new-2"]; ok {
		t.Error("the oldest results stay")
	}
}

// A failure that was forgotten at once would be tried over and over.
func TestFailureStandsThoughTheClockWasAhead(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	ran := filepath.Join(t.TempDir(), "ran")
	r.cfg.Apps["web"] = r.hook(App{}, "echo >> "+ran+"; exit 1")
	r.start().stop(t)
	order := r.goods("build").order("d-1", "web", "1")
	r.remember(order, func(rec *record) {
		for i := range maxResults {
			rec.conclude(control.JobReport{Deploy: fmt.Sprint("old-", i), App: "web", Version: "0"}, farOff)
		}
	})
	r.office.give(order)
	r.start()
	r.office.await(t, "d-1", release.Failed)
	r.office.tell(t, order)
	if got := r.office.await(t, "d-1", release.Failed); got.Reason != "hook: exited with status 1" || len(lines(ran)) != 1 {
		t.Errorf("hook ran %d times: %+v", len(lines(ran)), got)
	}
}

// A live release whose folder is gone is no live release.
func TestLostLiveReleaseIsStagedAgain(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	ran := filepath.Join(t.TempDir(), "ran")
	g := r.page("page")
	r.live(r.hook(App{Unpack: true}, "cat page >> "+ran+"; echo >> "+ran), g)
	if err := os.RemoveAll(r.path("apps/web/1")); err != nil {
		t.Fatal(err)
	}
	a := r.start()
	eventually(t, "it is live again", func() bool { return len(lines(ran)) == 2 && r.read("apps/web/current/page") == "page" })
	if n := a.copier.fetchCount(g.manifest.InfoHash); n != 0 {
		t.Errorf("%d fetches", n)
	}
	r.office.await(t, "d-1", release.Active)
}
