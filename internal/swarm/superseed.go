package swarm

import (
	"sync"
	"time"
)

// openPieces is how many pieces a guest is shown that it has not completed: one
// on its way and one to follow, so that its link never waits for a round trip.
const openPieces = 2

// maxHoard is how many pieces a guest may hold alone and be shown another, as long
// as there are guests that pass theirs on and are no slower to take what they are
// shown: one with a slow uplink would else be brought at full speed what it alone
// then has to give to everyone.
const maxHoard = 8

// A guest is slower than another when its pieces take more than slowerFactor times
// as long; what takes up to swift says nothing of a link.
const (
	slowerFactor = 2
	swift        = 50 * time.Millisecond
)

// When a piece is shown again. What the seeder sends twice it sends in the place
// of something that nobody has, so it waits for the guests to pass on what they
// have among themselves.
const (
	// A piece that no guest has completed, or that one alone holds and does not pass
	// on, is shown to another one when that takes this many times as long as others
	// took to be completed, and minLate at least.
	lateFactor = 2
	minLate    = 400 * time.Millisecond
	// All that some guest holds is shown again when no guest has completed
	// one that was new to all for this long.
	quietAfter = 2 * time.Second
	// reviewPeriod is how often it is seen to.
	reviewPeriod = 100 * time.Millisecond
)

// showing is super-seeding (BEP 16) of one torrent: the seeder claims to have
// nothing and shows each guest a piece or two at a time, a different one to
// each, so that its link carries every piece about once and the guests pass
// them on among themselves.
type showing struct {
	mu      sync.Mutex
	pieces  []shownPiece
	guests  map[*guest]struct{} // that have joined
	news    time.Time           // when a guest last completed a piece that no other held
	typical average             // from being shown to being held
}

// average is a moving one, over the last sixteen or so.
type average struct {
	time.Duration
	some bool
}

func (a *average) add(d time.Duration) {
	if !a.some {
		*a = average{d, true}
		return
	}
	a.Duration += (d - a.Duration) / 16
}

// shownPiece is what the seeder knows of one piece.
type shownPiece struct {
	shown int       // to so many guests, but for those that left without it
	held  int       // by so many guests
	at    time.Time // when it was last shown, or since when some guest holds it alone
	alone *guest    // that came to hold it first, until another does
}

// guest is one neighbour of a seeder: what it holds and what it was shown.
type guest struct {
	tell   func(pieces []int) // shows it pieces
	joined bool
	holds  []bool
	shown  []bool
	open   map[int]time.Time // pieces that were shown and are not yet held, since when
	hoards int               // pieces that it was shown and still holds alone
	took   time.Time         // when it last completed a piece
	takes  average           // from being shown a piece to holding it
	gone   bool
}

func newShowing(pieces int) *showing {
	return &showing{pieces: make([]shownPiece, pieces), guests: map[*guest]struct{}{}}
}

func (s *showing) newGuest(tell func(pieces []int)) *guest {
	return &guest{tell: tell, holds: make([]bool, len(s.pieces)), shown: make([]bool, len(s.pieces)), open: map[int]time.Time{}}
}

// join returns the first pieces to show a guest. What it has told of its own
// pieces before counts.
func (s *showing) join(g *guest, now time.Time) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.gone {
		return nil
	}
	g.joined = true
	s.guests[g] = struct{}{}
	return s.fill(g, now)
}

// completed notes that a guest holds a piece and returns what to show it next.
func (s *showing) completed(g *guest, piece int, now time.Time) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hold(g, piece, now)
	return s.fill(g, now)
}

// has notes a guest's bitfield (BEP 3: the first piece is the high bit of the
// first byte) and returns what to show it next.
func (s *showing) has(g *guest, bitfield []byte, now time.Time) []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.pieces {
		if i/8 < len(bitfield) && bitfield[i/8]&(0x80>>(i%8)) != 0 {
			s.hold(g, i, now)
		}
	}
	return s.fill(g, now)
}

// hasAll notes a guest that is complete.
func (s *showing) hasAll(g *guest, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.pieces {
		s.hold(g, i, now)
	}
}

// leave forgets a guest. What it was shown and did not complete is as if it had
// never been shown.
func (s *showing) leave(g *guest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g.gone {
		return
	}
	for i := range s.pieces {
		switch {
		case g.holds[i]:
			if s.pieces[i].held--; s.pieces[i].alone == g {
				s.pieces[i].release()
			}
		case g.shown[i]:
			s.pieces[i].shown--
		}
	}
	g.joined, g.gone = false, true
	delete(s.guests, g)
}

// review shows guests what has become due for being shown again.
func (s *showing) review(now time.Time) {
	type due struct {
		guest  *guest
		pieces []int
	}
	var all []due
	s.mu.Lock()
	for g := range s.guests {
		if next := s.fill(g, now); len(next) > 0 {
			all = append(all, due{g, next})
		}
	}
	s.mu.Unlock()
	for _, d := range all {
		d.guest.tell(d.pieces)
	}
}

func (s *showing) hold(g *guest, piece int, now time.Time) {
	if g.gone || piece < 0 || piece >= len(g.holds) || g.holds[piece] {
		return // gone: a frame that was on its way when the connection closed
	}
	p := &s.pieces[piece]
	g.holds[piece] = true
	g.took = now
	switch p.held++; p.held {
	case 1:
		s.news, p.at = now, now
	case 2:
		p.release()
	}
	if since, ok := g.open[piece]; ok {
		if p.held == 1 {
			p.alone = g
			g.hoards++
		}
		delete(g.open, piece)
		s.typical.add(now.Sub(since))
		g.takes.add(now.Sub(since))
	}
}

// release notes that nobody holds the piece alone any more.
func (p *shownPiece) release() {
	if p.alone != nil {
		p.alone.hoards--
		p.alone = nil
	}
}

// waits tells that a guest is shown nothing for now, as it has enough to pass on
// and another guest keeps up.
func (s *showing) waits(g *guest, now time.Time) bool {
	if g.hoards < maxHoard {
		return false
	}
	for o := range s.guests {
		if o.hoards < maxHoard && now.Sub(o.took) < quietAfter && !o.slowerThan(g) {
			return true
		}
	}
	return false
}

// slowerThan tells that a guest takes what it is shown so much more slowly than
// another that it may be why nothing is passed on to it.
func (g *guest) slowerThan(other *guest) bool {
	return g.takes.Duration > max(slowerFactor*other.takes.Duration, swift)
}

func (s *showing) fill(g *guest, now time.Time) []int {
	var next []int
	for g.joined && len(g.open) < openPieces && !s.waits(g, now) {
		piece, ok := nextToShow(s.pieces, g, s.terms(now))
		if !ok {
			break
		}
		g.shown[piece], g.open[piece] = true, now
		s.pieces[piece].shown++
		s.pieces[piece].at = now
		next = append(next, piece)
	}
	return next
}

// terms are what decides whether a piece may be shown again.
type terms struct {
	late  time.Time // pieces that nobody or one guest holds may be, if that is so since before this
	quiet bool      // all that somebody holds may be
}

func (s *showing) terms(now time.Time) terms {
	return terms{late: now.Add(-max(lateFactor*s.typical.Duration, minLate)), quiet: now.Sub(s.news) >= quietAfter}
}

// nextToShow chooses the piece to show a guest, of those that it neither holds
// nor was shown: the first that nobody was shown, so that the artifact spreads
// from its beginning and can be hashed as it does; or else one that is late; or
// else, when all is quiet, the least held, then least shown. ok is false if there
// is none.
func nextToShow(pieces []shownPiece, g *guest, t terms) (piece int, ok bool) {
	for i, p := range pieces {
		switch {
		case g.holds[i] || g.shown[i]:
		case p.shown == 0 && p.held == 0:
			return i, true
		case p.held == 0 && p.at.After(t.late):
		case p.held == 1 && p.at.After(t.late) && !t.quiet:
		case p.held > 1 && !t.quiet:
		case !ok || p.held < pieces[piece].held || p.held == pieces[piece].held && p.shown < pieces[piece].shown:
			piece, ok = i, true
		}
	}
	return piece, ok
}
