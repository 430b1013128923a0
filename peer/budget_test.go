package peer

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "a/b"))
	empty, err := measure(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.WriteFile(filepath.Join(dir, "a/file"), make([]byte, 1<<20), 0o600),
		os.Link(filepath.Join(dir, "a/file"), filepath.Join(dir, "a/b/link")),
		os.WriteFile(filepath.Join(dir, "other"), make([]byte, 2<<20), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		name string
		skip []string
		want int64
	}{
		{"a file with two names counts once", nil, 3 << 20},
		{"one name is left", []string{"a/file"}, 3 << 20},
		{"no name is left", []string{"a/file", "a/b/link"}, 2 << 20},
		{"a folder with all that is in it", []string{"a"}, 2 << 20},
	} {
		got, err := measure(dir, func(path string) bool {
			rel, err := filepath.Rel(dir, path)
			return err == nil && slices.Contains(test.skip, rel)
		})
		if got -= empty; err != nil || got > test.want || got < test.want-64<<10 {
			t.Errorf("%s: %d, %v, want %d", test.name, got, err, test.want)
		}
	}
	if n, err := measure(filepath.Join(dir, "nowhere"), nil); n != 0 || err != nil {
		t.Errorf("of what is not there: %d, %v", n, err)
	}
}

// Two jobs that look at the disk at once do not both take what is there for one.
func TestTwoClaimsAtOnceKeepTheBudget(t *testing.T) {
	d := newDisk(t.TempDir(), 0, 3<<20)
	looked, done := make(chan struct{}), make(chan struct{})
	var first sync.Once
	d.measure = func(root string, skip func(string) bool) (int64, error) {
		n, err := measure(root, skip)
		first.Do(func() {
			close(looked)
			select {
			case <-done: // the other was not kept from the disk meanwhile
			case <-time.After(200 * time.Millisecond):
			}
		})
		return n, err
	}
	fetch := func(app string) error {
		part := filepath.Join(d.root, app)
		if err := d.claim(app, claim{part: part, download: 2 << 20}); err != nil {
			return err
		}
		defer d.letGo(app)
		return os.WriteFile(part, make([]byte, 2<<20), 0o600)
	}
	slow := make(chan error)
	go func() { slow <- fetch("slow") }()
	<-looked
	quick := fetch("quick")
	close(done)
	if err := <-slow; (err == nil) == (quick == nil) {
		t.Errorf("one: %v, the other: %v", err, quick)
	}
	if use, err := measure(d.root, nil); err != nil || use > d.budget {
		t.Errorf("%s are in use, %v", release.Size(use), err)
	}
}

// What others are downloading counts whole and once, however far they have come.
func TestDownloadsUnderWayCountOnce(t *testing.T) {
	d := newDisk(t.TempDir(), 0, 8<<20)
	part := filepath.Join(d.root, "part")
	if err := d.claim("web", claim{part: part, download: 4 << 20}); err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{0, 1 << 20, 4 << 20} {
		if err := os.WriteFile(part, make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.claim("db", claim{download: 3 << 20}); err != nil {
			t.Errorf("with %d bytes here: %v", size, err)
		}
		if err := d.claim("db", claim{download: 4<<20 + 1}); !errors.Is(err, errOverBudget) {
			t.Errorf("with %d bytes here: %v, want errOverBudget", size, err)
		}
		d.letGo("db")
	}
}

// What is renamed while it is measured counts.
func TestMeasureOfWhatMoves(t *testing.T) {
	dir := t.TempDir()
	a, z := filepath.Join(dir, "a"), filepath.Join(dir, "z")
	if err := os.WriteFile(a, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := measure(dir, func(path string) bool {
		if path == a && !exists(z) {
			if err := os.Rename(a, z); err != nil {
				t.Error(err)
			}
		}
		return false
	})
	if err != nil || n < 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// mebi is content of 1 MiB.
func mebi(seed string) string { return big(seed, 1<<20/chunk) }

func TestBudgetOverridesKeep(t *testing.T) {
	r := newRig(t)
	r.cfg.DiskBudget = 9 << 19 // four releases and what else there is
	r.cfg.Apps["*"] = App{Keep: 10}
	r.start()
	var orders []control.Order
	give := func(deploy, app, version string) {
		t.Helper()
		order := r.goods(mebi(deploy)).order(deploy, app, version)
		orders = append(slices.DeleteFunc(orders, func(o control.Order) bool { return o.Manifest.App == app }), order)
		r.office.give(orders...)
		r.office.await(t, deploy, release.Active)
		if use, err := measure(r.path(), nil); err != nil || use > int64(r.cfg.DiskBudget) {
			t.Errorf("after %s data_dir takes %s, %v", deploy, release.Size(use), err)
		}
	}
	for i := range 4 {
		give(fmt.Sprint("d-", i), "web", fmt.Sprint(i))
	}
	if got := names(t, r.path("apps/web")); !slices.Equal(got, []string{"0", "1", "2", "3", "current"}) {
		t.Errorf("before there is need: %q", got)
	}
	give("d-4", "web", "4") // of its own
	give("d-5", "db", "1")  // of another app
	if got := names(t, r.path("apps/web")); !slices.Equal(got, []string{"2", "3", "4", "current"}) {
		t.Errorf("after a fifth and a sixth: %q", got)
	}
	give("d-6", "db", "2")
	if got := names(t, r.path("apps/web")); !slices.Equal(got, []string{"3", "4", "current"}) {
		t.Errorf("after a seventh: %q", got)
	}

	// Live and previous ones of both apps are there, and nothing can go.
	r.office.give(r.goods(mebi("d-7")).order("d-7", "web", "5"), orders[1])
	got := r.office.await(t, "d-7", release.Failed)
	for _, want := range []string{"fetch: over budget: need 1 MiB in " + r.path(), " of its budget of 4.5 MiB in use", "crow peer gc, or raise disk_budget"} {
		if !strings.Contains(got.Reason, want) {
			t.Errorf("reason is %q, want %q in it", got.Reason, want)
		}
	}
	if r.current("web") != "4" || r.current("db") != "2" || len(names(t, r.path("cache"))) != 4 {
		t.Error("what is live, or was before, is gone")
	}
}

// The release that somebody has set live by hand does not go for another, whether
// the agent has seen it and whatever path he took.
func TestBudgetSparesWhatTheLinkLeadsTo(t *testing.T) {
	tests := []struct {
		name, app string
		seen      bool
		target    func(r *rig) string
	}{
		{"seen, for a job of the same app", "web", true, func(*rig) string { return "0" }},
		{"not seen yet", "web", false, func(*rig) string { return "0" }},
		{"not seen yet, for another app's job", "db", false, func(*rig) string { return "0" }},
		{"seen, by its whole path", "web", true, func(r *rig) string { return r.path("apps/web/0") }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			r.cfg.DiskBudget = 9 << 19 // four releases and what else there is
			r.cfg.Apps["*"] = App{Keep: 10}
			if !test.seen {
				r.timing.look = time.Hour
			}
			r.start()
			var orders []control.Order
			for i := range 4 {
				deploy := fmt.Sprint("d-", i)
				orders = []control.Order{r.goods(mebi(deploy)).order(deploy, "web", fmt.Sprint(i))}
				r.office.give(orders...)
				r.office.await(t, deploy, release.Active)
			}
			r.setLink(test.target(r))
			if test.seen {
				r.office.until(t, "word of it", func() bool { j, _ := r.office.job("d-3"); return j.Reason != "" })
			}
			order := fetchOnly(r.goods(mebi("d-4")).order("d-4", test.app, "4"))
			if test.app == "web" {
				orders = nil
			}
			r.office.give(append(orders, order)...)
			r.office.await(t, "d-4", release.Staged)
			if !exists(r.path("apps/web/current/artifact")) || exists(r.path("apps/web/1")) {
				t.Errorf("left: %q", names(t, r.path("apps/web")))
			}
		})
	}
}

func TestRoomIsWhatTheBudgetLeaves(t *testing.T) {
	r := newRig(t)
	r.cfg.DiskBudget = 10 << 20
	r.cfg.Apps["*"] = App{Keep: 10}
	a := r.start()
	for i := range 5 {
		deploy := fmt.Sprint("d-", i)
		r.office.give(r.goods(mebi(deploy)).order(deploy, "web", fmt.Sprint(i)))
		r.office.await(t, deploy, release.Active)
	}
	eventually(t, "there is room for all but the live and the previous release", func() bool {
		free := a.agent.disk.left()
		return free != nil && *free <= 8<<20 && *free > 7<<20
	})
}

func TestUnpackingStaysWithinTheBudget(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.cfg.DiskBudget = 8 << 20
	r.cfg.Apps["web"] = App{Unpack: true}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(tarOf(t, map[string]string{"a": strings.Repeat("\x00", 5<<20), "b": strings.Repeat("\x00", 5<<20)})); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	g := r.office.stock(r.store.add(t, b.Bytes(), release.FormatTarGzip))
	r.start()
	r.office.give(g.order("d-1", "web", "1"))
	got := r.office.await(t, "d-1", release.Failed)
	if !strings.Contains(got.Reason, ": over budget: need 5 MiB in ") || !strings.HasPrefix(got.Reason, "stage: unpack ") {
		t.Errorf("reason is %q", got.Reason)
	}
	eventually(t, "what was unpacked is removed", func() bool { return len(leftovers(t, r)) == 0 })
}

// An order that comes while something else has the app's record waits for it.
func TestOrderWaitsForAChore(t *testing.T) {
	r := newRig(t)
	a := r.start()
	one, two := r.goods("one"), r.goods("two")
	r.office.give(one.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	begun, end := make(chan struct{}), make(chan struct{})
	var ended chan struct{}
	if err := a.agent.ask(t.Context(), func(a *agent) {
		ended = a.chore("web", func(*record) { close(begun); <-end })
	}); err != nil {
		t.Fatal(err)
	}
	<-begun
	r.office.tell(t, two.order("d-2", "web", "2"))
	if got := r.office.await(t, "d-2", release.Pending); got.Reason != "" {
		t.Errorf("report is %+v", got)
	}
	close(end)
	<-ended
	r.office.await(t, "d-2", release.Active)
}
