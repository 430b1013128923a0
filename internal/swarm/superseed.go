package swarm

import (
	"math/rand/v2"
	"slices"
	"sync"
)

// openPieces is how many pieces a guest is shown that it has not completed: one
// on its way and one to follow, so that its link never waits for a round trip.
const openPieces = 2

// showing is super-seeding (BEP 16) of one torrent: the seeder claims to have
// nothing and shows each guest a piece or two at a time, a different one to
// each, so that its link carries every piece about once and the guests pass
// them on among themselves.
type showing struct {
	mu    sync.Mutex
	shown []uint32 // how often each piece was shown
	held  []uint32 // how many guests hold each piece
}

// guest is one neighbour of a seeder: what it holds and what it was shown.
type guest struct {
	joined bool
	holds  []bool
	shown  []bool
	open   int // shown, not yet held
	gone   bool
}

func newShowing(pieces int) *showing {
	return &showing{shown: make([]uint32, pieces), held: make([]uint32, pieces)}
}

func (s *showing) newGuest() *guest {
	return &guest{holds: make([]bool, len(s.held)), shown: make([]bool, len(s.held))}
}

// join returns the first pieces to show a guest. What it has told of its own
// pieces before counts.
func (s *showing) join(g *guest) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	g.joined = true
	return s.fill(g)
}

// completed notes that a guest holds a piece and returns what to show it next.
func (s *showing) completed(g *guest, piece int) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold(g, piece)
	return s.fill(g)
}

// has notes a guest's bitfield (BEP 3: the first piece is the high bit of the
// first byte) and returns what to show it next.
func (s *showing) has(g *guest, bitfield []byte) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.held {
		if i/8 < len(bitfield) && bitfield[i/8]&(0x80>>(i%8)) != 0 {
			s.hold(g, i)
		}
	}
	return s.fill(g)
}

// hasAll notes a guest that is complete.
func (s *showing) hasAll(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.held {
		s.hold(g, i)
	}
}

// leave forgets a guest.
func (s *showing) leave(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, holds := range g.holds {
		if holds {
			s.held[i]--
		}
	}
	g.joined, g.gone = false, true
	clear(g.holds)
}

func (s *showing) hold(g *guest, piece int) {
	if g.gone || piece < 0 || piece >= len(g.holds) || g.holds[piece] {
		return // gone: a frame that was on its way when the connection closed
	}
	g.holds[piece] = true
	s.held[piece]++
	if g.shown[piece] {
		g.open--
	}
}

func (s *showing) fill(g *guest) []int {
	var next []int
	for g.joined && g.open < openPieces {
		piece, ok := nextToShow(s.shown, s.held, g, rand.IntN(len(s.shown)))
		if !ok {
			break
		}
		g.shown[piece] = true
		g.open++
		s.shown[piece]++
		next = append(next, piece)
	}
	return slices.Clip(next)
}

// nextToShow chooses the piece to show a guest: of those that it neither holds
// nor was shown, the least shown, then the least held; ties go to the first one
// from the piece numbered from on. ok is false if there is none.
func nextToShow(shown, held []uint32, g *guest, from int) (piece int, ok bool) {
	for k := range shown {
		i := (from + k) % len(shown)
		if g.holds[i] || g.shown[i] {
			continue
		}
		if !ok || shown[i] < shown[piece] || shown[i] == shown[piece] && held[i] < held[piece] {
			piece, ok = i, true
		}
	}
	return piece, ok
}
