package swarm

import (
	"math/rand/v2"
	"net/netip"
	"slices"
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
	// idlePatience is how long a neighbour that tells of no piece counts as one. Who
	// only takes up room does not keep a transfer from looking for others.
	idlePatience = 30 * time.Second
)

// offer is an address that the client was given to dial.
type offer struct {
	at time.Time
	as *remoteAddr
}

// maxKnown bounds the addresses that a transfer remembers.
const maxKnown = 64

// addNeighbours takes in addresses and dials as many as this transfer lacks.
func (t *transfer) addNeighbours(addrs []netip.AddrPort) {
	t.remember(addrs)
	t.dial(addrs)
}

// seek dials of the addresses that are known, any: those that a tracker named first
// may have had no place.
func (t *transfer) seek() {
	t.mu.Lock()
	addrs := slices.Clone(t.known)
	t.mu.Unlock()
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	t.dial(addrs)
}

// remember keeps the addresses that were named last.
func (t *transfer) remember(addrs []netip.AddrPort) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known := slices.Clone(addrs[:min(len(addrs), maxKnown)])
	for _, a := range t.known {
		if len(known) < maxKnown && !slices.Contains(known, a) {
			known = append(known, a)
		}
	}
	t.known = known
}

// dial offers addresses to the client to dial, as many as this transfer lacks.
func (t *transfer) dial(addrs []netip.AddrPort) {
	if t.complete() {
		return
	}
	var found []torrent.PeerInfo
	for _, a := range t.wanted(addrs, time.Now()) {
		found = append(found, torrent.PeerInfo{Addr: a, Source: torrent.PeerSourceTracker})
	}
	t.t.AddPeers(found)
}

// wanted chooses whom to dial of addrs: so many of those without a connection,
// in their order, that the transfer comes to have enough.
func (t *transfer) wanted(addrs []netip.AddrPort, now time.Time) []*remoteAddr {
	t.mu.Lock()
	defer t.mu.Unlock()
	connected := make(map[string]bool, len(t.conns))
	for _, key := range t.conns {
		connected[key] = true
	}
	for a, o := range t.offered {
		if now.Sub(o.at) >= dialPatience || connected[addressKey(a)] {
			delete(t.offered, a)
		}
	}
	var wanted []*remoteAddr
	for _, a := range addrs {
		pending := len(t.offered)
		if pending >= dialledNeighbours || pending+t.counting(now) >= enoughNeighbours {
			break
		}
		key := addressKey(a)
		if _, dialled := t.offered[a]; dialled || a == t.swarm.addr || connected[key] || !t.welcomeAt(a) {
			continue
		}
		to := t.toDial(a)
		t.offered[a] = offer{now, to}
		wanted = append(wanted, to)
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

// neighbours is how many connections the transfer has that count.
func (t *transfer) neighbours() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counting(time.Now())
}

// counting needs t.mu.
func (t *transfer) counting(now time.Time) (n int) {
	for c := range t.conns {
		if p := c.peer.Load(); p == nil || p.useful.Load() || now.Sub(p.since) < idlePatience {
			n++
		}
	}
	return n
}
