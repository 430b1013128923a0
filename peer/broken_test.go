package peer

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// A release that was good once, and that a later activation failed of, is not taken
// for live and well: its hook runs again.
func TestReleaseThatFailedOnTheWayBackIsTriedAgain(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.cfg.Apps["web"] = r.hook(App{}, "cd "+dir+`; echo "$CROW_VERSION" >> log; [ ! -e broken ]`)
	one, two := r.goods("one"), r.goods("two")
	r.start()
	log, broken := filepath.Join(dir, "log"), filepath.Join(dir, "broken")
	r.office.give(one.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	touch(t, broken)
	r.office.give(two.order("d-2", "web", "2"))
	r.office.await(t, "d-2", release.Failed)
	back := func(deploy string) control.Order {
		o := one.order(deploy, "web", "1")
		newest := two.order("d-2", "web", "2").Manifest.Counter
		o.Rollback = &control.Rollback{Statement: release.RollbackTo(o.Manifest, newest, time.Now(), time.Time{})}
		return o
	}
	r.office.give(back("d-3"))
	r.office.await(t, "d-3", release.Failed)
	r.office.give(back("d-4"))
	if got := r.office.await(t, "d-4", release.Failed); got.Unchanged {
		t.Errorf("the report is %+v", got)
	}
	if got := lines(log); !slices.Equal(got, []string{"1", "2", "1", "1"}) {
		t.Errorf("hooks ran for %q", got)
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}
