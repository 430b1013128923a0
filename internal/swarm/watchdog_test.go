package swarm

import (
	"net/netip"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestFlowCeases(t *testing.T) {
	for name, c := range map[string]struct {
		ticks []int64 // bytes in each
		want  string  // of each: x where it has ceased
	}{
		"nothing ever came":       {[]int64{0, 0}, ".."},
		"it starts and goes on":   {[]int64{0, 100, 100, 100}, "...."},
		"it stops":                {[]int64{100, 100, 100, 0, 0, 100}, "...xx."},
		"it only drips":           {[]int64{800, 800, 800, 1, 2}, "...xx"},
		"it is slower for good":   {[]int64{800, 800, 400, 200, 200}, "....."},
		"a limit comes to be low": {append([]int64{800, 800, 800, 800}, slices.Repeat([]int64{20}, 20)...), "....xxxxxx.............."},
	} {
		var f flow
		var received int64
		got := ""
		for _, n := range c.ticks {
			received += n
			if f.hasCeased(received, 0) {
				got += "x"
			} else {
				got += "."
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Under a limit only what is far below it is a ceasing.
func TestFlowComesDownToALimit(t *testing.T) {
	f := flow{usual: 800}
	if f.hasCeased(20, 20) {
		t.Error("it ceased at the limit")
	}
	if !f.hasCeased(21, 20) {
		t.Error("next to nothing came, and it did not cease")
	}
}

// In the end a transfer stands still when nothing at all comes.
func TestEndingStandsStill(t *testing.T) {
	var e ending
	for i, c := range []struct {
		received int64
		still    bool
	}{{0, false}, {0, true}, {1, false}, {1, false}, {1, true}, {1, true}, {2, false}, {2, false}, {2, true}} {
		if got := e.standsStill(c.received); got != c.still {
			t.Errorf("look %d, %d bytes: stands still: %v, want %v", i, c.received, got, c.still)
		}
	}
}

func TestWatchdog(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	w := watchdog{since: at(0)}
	for _, c := range []struct {
		second   int
		received int64
		bites    bool
	}{
		{1, 10, false}, {10, 10, false}, {20, 10, false}, {21, 10, true}, {22, 10, false},
		{40, 10, false}, {41, 10, true}, {60, 11, false}, {79, 11, false}, {80, 12, false}, {100, 12, true},
	} {
		if got := w.bites(c.received, at(c.second)); got != c.bites {
			t.Errorf("second %d, %d bytes: %t", c.second, c.received, got)
		}
	}
}

// Connections that nothing comes over are replaced, and the transfer goes on.
func TestRenewedConnectionsCarryOn(t *testing.T) {
	artifact := randomArtifact(4 << 20)
	torrentFile := makeTorrent(t, artifact)
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		t.Fatal(err)
	}
	seeder, peer := node(t, RoleSeeder, "127.0.0.1"), node(t, RolePeer, "127.0.0.2")
	seeder.SetLimits(1<<20, 0)
	if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	go func() {
		tr := awaitTransfer(t.Context(), peer, m.InfoHash)
		peer.AddNeighbours(m.InfoHash, []netip.AddrPort{seeder.Addr()})
		<-time.After(time.Second)
		tr.renew()
		<-time.After(dialPatience / 10)
		for tr.neighbours() > 0 {
			<-time.After(time.Millisecond)
		}
		peer.AddNeighbours(m.InfoHash, []netip.AddrPort{seeder.Addr()})
	}()
	if err := peer.Fetch(t.Context(), torrentFile, filepath.Join(t.TempDir(), "part"), func(Progress) {}); err != nil {
		t.Fatal(err)
	}
}
