package peer

import (
	"math/rand/v2"
	"net/netip"

	"crow/internal/gossip"
	"crow/internal/release"
)

// maxHints bounds the neighbours that gossip adds to a transfer at a time. They
// are drawn anew each time, so that a few are enough to reach everyone, and a
// large fleet does not become one full mesh.
const maxHints = 10

// hint offers alive members as neighbours to the transfers under way, so that
// they go on when no tracker answers.
func (a *agent) hint() {
	var fetching []release.Digest
	for _, s := range a.slots {
		if s.job != nil && (s.job.repair || s.job.report.Phase <= release.Fetching) {
			fetching = append(fetching, s.job.order.Manifest.InfoHash)
		}
	}
	for _, infohash := range fetching {
		a.hintAt(infohash)
	}
}

// hintAt offers them to one transfer.
func (a *agent) hintAt(infohash release.Digest) {
	var seeders, peers []netip.AddrPort
	for _, m := range a.members() {
		addr, ok := m.SwarmAddr()
		switch {
		case !ok || m.State != gossip.Alive || m.Name == a.cfg.Name:
		case m.Role() == gossip.RoleSeeder:
			seeders = append(seeders, addr)
		default:
			peers = append(peers, addr)
		}
	}
	a.swarm.AddNeighbours(infohash, append(draw(seeders), draw(peers)...))
}

// draw picks at most maxHints at random.
func draw(addrs []netip.AddrPort) []netip.AddrPort {
	rand.Shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs[:min(len(addrs), maxHints)]
}
