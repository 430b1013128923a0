package swarm

import (
	"net"
	"net/netip"
	"time"

	"github.com/anacrolix/torrent"
)

// A transfer dials few neighbours at a time and lets in more: each of them costs
// CPU with every piece that it completes, and a dozen are as good as all. Who came
// first is dialled by who comes later. Hosts with fewer neighbours than others
// fall behind them, so that nobody should have many more than enough.
const (
	dialledNeighbours = 3  // at a time
	enoughNeighbours  = 10 // connections with which a transfer dials nobody and asks for no more
	// dialPatience is how long an address that was dialled counts as one that may
	// yet become a connection.
	dialPatience = time.Second
)

// addNeighbours offers addresses to the client to dial, as many as this
// transfer lacks.
func (t *transfer) addNeighbours(addrs []netip.AddrPort) {
	if t.t.Complete().Bool() {
		return
	}
	var found []torrent.PeerInfo
	for _, a := range t.wanted(addrs, time.Now()) {
		found = append(found, torrent.PeerInfo{Addr: net.TCPAddrFromAddrPort(a), Source: torrent.PeerSourceTracker})
	}
	t.t.AddPeers(found)
}

// wanted chooses whom to dial of addrs: so many of those without a connection,
// in their order, that the transfer comes to have enough.
func (t *transfer) wanted(addrs []netip.AddrPort, now time.Time) []netip.AddrPort {
	t.mu.Lock()
	defer t.mu.Unlock()
	connected := make(map[string]bool, len(t.conns))
	for _, key := range t.conns {
		connected[key] = true
	}
	for a, at := range t.offered {
		if now.Sub(at) >= dialPatience || connected[addressKey(a)] {
			delete(t.offered, a)
		}
	}
	var wanted []netip.AddrPort
	for _, a := range addrs {
		pending := len(t.offered)
		if pending >= dialledNeighbours || pending+len(t.conns) >= enoughNeighbours {
			break
		}
		if _, dialled := t.offered[a]; dialled || a == t.swarm.addr || connected[addressKey(a)] {
			continue
		}
		t.offered[a] = now
		wanted = append(wanted, a)
	}
	return wanted
}

func (t *transfer) joined(c *conn, key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.conns[c] = key
}

func (t *transfer) disconnected(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.conns, c)
}

// neighbours is how many connections the transfer has.
func (t *transfer) neighbours() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.conns)
}
