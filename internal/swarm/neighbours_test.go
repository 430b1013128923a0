package swarm

import (
	"fmt"
	"net/netip"
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
		tr := &transfer{swarm: &Swarm{}, conns: map[*conn]string{}, offered: map[netip.AddrPort]offer{}}
		for _, a := range all[:c.connected] {
			tr.conns[&conn{}] = addressKey(a)
		}
		for _, a := range all[c.connected : c.connected+c.pending] {
			tr.offered[a] = offer{at: now.Add(-c.since)}
		}
		got := tr.wanted(c.offered, now)
		if len(got) != c.want {
			t.Errorf("%s: dials %v, want %d", name, got, c.want)
		}
		for _, a := range got {
			if tr.isConnectedTo(a.addr) {
				t.Errorf("%s: dials %s again", name, a.addr)
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
