package peer

import (
	"bytes"
	"compress/gzip"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crow/internal/release"
	"crow/internal/store"
)

func TestRoom(t *testing.T) {
	if err := room("/var/lib/crow", 3<<30, 4<<30, 1<<30); err != nil {
		t.Error(err)
	}
	want := "disk full: need 3.1 GiB in /var/lib/crow, 512 MiB free"
	if err := room("/var/lib/crow", 31<<30/10, 512<<20, 0); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	want += " and 16 MiB of it needed by other apps' deploys under way"
	if err := room("/var/lib/crow", 31<<30/10, 512<<20, 16<<20); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestRoomThatIsAlmostEnough holds that the two sizes never look the same.
func TestRoomThatIsAlmostEnough(t *testing.T) {
	for promised, want := range map[int64]string{
		0: "disk full: need 1048586 B in /d, 1048576 B free",
		4: "disk full: need 1048586 B in /d, 1048576 B free and 4 B of it needed by other apps' deploys under way",
	} {
		if err := room("/d", 1<<20+10, 1<<20, promised); err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func TestSumDoesNotOverflow(t *testing.T) {
	if sum(math.MaxInt64, math.MaxInt64) != math.MaxInt64 || sum(1, 2) != 3 {
		t.Error("sum is wrong")
	}
}

// TestDiskIsClaimedOnce claims shares of what is really free. They are far from
// each other, since others use the disk too.
func TestDiskIsClaimedOnce(t *testing.T) {
	d := newDisk(t.TempDir(), 0, 0)
	free, err := store.Free(d.root)
	if err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(d.root, "part")
	if err := os.WriteFile(part, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		what string
		do   func() error
		ok   bool
	}{
		{"one app claims most", func() error { return d.claim("one", claim{staging: free / 10 * 7}) }, true},
		{"another wants as much", func() error { return d.claim("two", claim{staging: free / 10 * 7}) }, false},
		{"or to download it", func() error { return d.claim("two", claim{part: part, download: free / 10 * 7}) }, false},
		{"less is there", func() error { return d.claim("two", claim{download: free / 10}) }, true},
		{"the first claims anew, not twice", func() error { return d.claim("one", claim{staging: free / 10 * 7}) }, true},
		{"it may go beyond its estimate", func() error { return d.take("one", free/10*8) }, true},
		{"but not into another's share", func() error { return d.take("one", free) }, false},
		{"what it takes is nobody else's", func() error { return d.claim("three", claim{staging: free / 10 * 2}) }, false},
		{"a download that has arrived is not claimed", func() error { d.arrived("two"); return d.claim("three", claim{staging: free / 10}) }, true},
		{"nor what is let go", func() error { d.letGo("one"); return d.claim("two", claim{staging: free / 10 * 7}) }, true},
	}
	for _, s := range steps {
		if err := s.do(); (err == nil) != s.ok || err != nil && !strings.Contains(err.Error(), "disk full: need ") {
			t.Errorf("%s: %v", s.what, err)
		}
	}
	if got := (claim{part: part, download: 3 << 20, staging: 5}).outstanding(); got != 2<<20+5 {
		t.Errorf("%d bytes are outstanding", got)
	}
}

func TestTakenBytesCountOnce(t *testing.T) {
	d := newDisk(t.TempDir(), 0, 0)
	if err := d.claim("web", claim{staging: 100}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ file, want int64 }{{30, 100}, {0, 70}, {50, 70}, {90, 90}, {1, 1}} {
		if err := d.take("web", step.file); err != nil {
			t.Fatal(err)
		}
		if got := d.claims["web"].outstanding(); got != step.want {
			t.Errorf("before a file of %d bytes %d are outstanding, want %d", step.file, got, step.want)
		}
	}
}

// TestUnpackingSparesTheMargin unpacks far more than was to be expected, on a
// disk of its own, which needs the right to mount.
func TestUnpackingSparesTheMargin(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.ownDisk("32m")
	r.cfg.DiskMargin = 24 << 20
	r.cfg.Apps["web"] = App{Unpack: true}
	zeros := func(n int) goods {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write(tarOf(t, map[string]string{"zeros": strings.Repeat("\x00", n)})); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return r.office.stock(r.store.add(t, b.Bytes(), release.FormatTarGzip))
	}
	small, large := zeros(4<<20), zeros(16<<20)
	a := r.start()
	r.office.give(small.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	r.office.give(large.order("d-2", "web", "2"))
	got := r.office.await(t, "d-2", release.Failed)
	if want := "stage: unpack \"zeros\": disk full: need 40 MiB in "; !strings.HasPrefix(got.Reason, want) {
		t.Errorf("reason is %q, want %q", got.Reason, want)
	}
	a.stop(t)
	if n := len(a.agent.disk.claims); n > 0 {
		t.Errorf("%d claims are left", n)
	}
}
