package tracker

import (
	"math/rand/v2"
	"net/netip"
	"slices"
)

// asker is who neighbours are chosen for.
type asker struct {
	id    peerID
	addrs []netip.AddrPort
	role  role
}

// is reports whether m is the asker itself: by id, or by address, where an
// earlier life of it may have announced under another id.
func (a asker) is(m member) bool { return m.id == a.id || slices.Contains(a.addrs, m.addr) }

// choose draws at most n neighbours for the asker from the swarm, evenly at
// random within each role, in random order. A seed gets downloaders only; a
// downloader gets both, as seedsFor tells, and more of one kind where the other
// runs short.
func choose(s *swarm, a asker, n int, rng *rand.Rand) []member {
	n = max(n, 0)
	downloaders := sample(s.members[downloader], a, n, rng)
	if a.role == seed {
		return downloaders
	}
	seeds := sample(s.members[seed], a, n, rng)
	want := max(seedsFor(n, s.counts(), rng.Float64()), n-len(downloaders))
	seeds = seeds[:min(want, len(seeds))]
	downloaders = downloaders[:min(n-len(seeds), len(downloaders))]
	chosen := slices.Concat(seeds, downloaders)
	// Clients dial from the front: seeds there would all be dialled first.
	rng.Shuffle(len(chosen), func(i, j int) { chosen[i], chosen[j] = chosen[j], chosen[i] })
	return chosen
}

// seedsFor is how many of a downloader's n neighbours should be seeds: so many
// that each seed is handed to some n downloaders, and at most half, so that
// downloaders know each other too. The expected number is seldom whole; draw,
// evenly from 0 to 1, decides on the rest, so that a single seed is handed to
// some of a large swarm and not to each.
func seedsFor(n int, c counts, draw float64) int {
	share := float64(n) * float64(c[seed]) / float64(max(c[downloader], 1))
	share = min(share, float64(n)/2)
	whole := int(share)
	if draw < share-float64(whole) {
		whole++
	}
	return whole
}

// sample draws at most n members other than the asker, evenly at random: the
// first steps of a Fisher-Yates shuffle, which remembers only the places that
// it swapped, for the list may be long and n is small.
func sample(list []member, a asker, n int, rng *rand.Rand) []member {
	drawn := make([]member, 0, min(n, len(list)))
	swapped := map[int]int{}
	at := func(i int) int {
		if j, ok := swapped[i]; ok {
			return j
		}
		return i
	}
	for i := 0; i < len(list) && len(drawn) < n; i++ {
		j := i + rng.IntN(len(list)-i)
		m := list[at(j)]
		swapped[j] = at(i)
		if !a.is(m) {
			drawn = append(drawn, m)
		}
	}
	return drawn
}
