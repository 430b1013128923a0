package swarm

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"
)

func addresses(n int) []netip.AddrPort {
	var all []netip.AddrPort
	for i := range n {
		all = append(all, netip.MustParseAddrPort(fmt.Sprintf("10.0.%d.%d:7401", i/250, i%250+1)))
	}
	return all
}

func TestWantedNeighbours(t *testing.T) {
	all := addresses(40)
	now := time.Now()
	for name, c := range map[string]struct {
		connected int // to the first so many
		pending   int // to the next so many
		since     time.Duration
		offered   []netip.AddrPort
		want      int
	}{
		"few at a time":                {offered: all, want: dialledNeighbours},
		"none while these are dialled": {pending: dialledNeighbours, offered: all},
		"more once that took too long": {pending: dialledNeighbours, since: dialPatience, offered: all, want: dialledNeighbours},
		"until there are enough":       {connected: enoughNeighbours - 2, offered: all, want: 2},
		"none when there are":          {connected: enoughNeighbours + 5, offered: all},
		"nobody twice":                 {connected: 3, pending: 2, offered: all[:5]},
		"one address given twice":      {offered: append(all[:1:1], all[:1]...), want: 1},
	} {
		tr := &transfer{swarm: &Swarm{}, conns: map[*conn]string{}, offered: map[netip.AddrPort]time.Time{}}
		for _, a := range all[:c.connected] {
			tr.conns[&conn{}] = addressKey(a)
		}
		for _, a := range all[c.connected : c.connected+c.pending] {
			tr.offered[a] = now.Add(-c.since)
		}
		got := tr.wanted(c.offered, now)
		if len(got) != c.want {
			t.Errorf("%s: dials %v, want %d", name, got, c.want)
		}
		for _, a := range got {
			if tr.isConnectedTo(a) {
				t.Errorf("%s: dials %s again", name, a)
			}
		}
	}
}

func (t *transfer) isConnectedTo(a netip.AddrPort) bool {
	for _, key := range t.conns {
		if key == addressKey(a) {
			return true
		}
	}
	return false
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
