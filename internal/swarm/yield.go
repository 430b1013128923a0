package swarm

import "time"

// When a neighbour's place is up for another one.
const (
	// idleAfter is how long no part of a piece has gone either way: the neighbour is
	// of no use now, and the next may be.
	idleAfter = 3 * time.Second
	// turnLen is how long one keeps its place when there are more transfers than places.
	turnLen = 5 * time.Second
)

// place is one that a neighbour of a transfer has.
type place struct {
	of      *transfer
	seeding bool // this node has all that it wants of the transfer
	since   time.Time
	moved   time.Time // when a part of a piece last went over it, either way; since, if none did
}

// reason is why a place is given up; the better one is the greater.
type reason uint8

const (
	noReason reason = iota
	itsTurn         // the other transfer has none, and this one had its turn
	surplus         // its transfer has more than the other one
	idle
)

// nextToYield chooses which of all places, none of which is free, is given to one
// more neighbour of a transfer, which this node seeds or else fetches. One that is
// idle goes first, then one of the transfer that has most, where seeding counts as
// one neighbour more: who fetches can't go on without. So the parts become even, and
// nobody's place goes back and forth, as with each the sum of their squares falls.
// The last neighbour of a transfer is taken from it only for one that has none, and
// that after its turn. ok is false if all stay.
func nextToYield(all []place, to *transfer, seeding bool, now time.Time) (i int, ok bool) {
	n := map[*transfer]int{}
	for _, p := range all {
		n[p.of]++
	}
	best := noReason
	for k, p := range all {
		why := whyYield(p, place{of: to, seeding: seeding}, n, now)
		if why > best || why == best && best != noReason && yieldsBefore(p, all[i], why, n) {
			i, best = k, why
		}
	}
	return i, best != noReason
}

// whyYield tells why p may be given to another transfer's neighbour; n is how many
// each transfer has.
func whyYield(p, other place, n map[*transfer]int, now time.Time) reason {
	own, none := p.of == other.of, n[other.of] == 0
	if last := n[p.of] == 1; !own && last && (!none || other.seeding && !p.seeding) {
		return noReason
	}
	switch {
	case now.Sub(p.moved) >= idleAfter:
		return idle
	case p.part(n) > other.part(n)+1:
		return surplus
	case none && (p.seeding || !other.seeding) && now.Sub(p.since) >= turnLen:
		return itsTurn
	}
	return noReason
}

// part is what a transfer has, as it counts.
func (p place) part(n map[*transfer]int) int {
	if p.seeding {
		return n[p.of] + 1
	}
	return n[p.of]
}

// yieldsBefore decides between places that may be given up for the same reason.
func yieldsBefore(a, b place, why reason, n map[*transfer]int) bool {
	switch {
	case why == itsTurn:
		return a.since.Before(b.since)
	case why == surplus && a.part(n) != b.part(n):
		return a.part(n) > b.part(n)
	}
	return a.moved.Before(b.moved)
}
