package swarm

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// at is a moment of the tests' time.
func at(d time.Duration) time.Time { return time.Unix(1000, 0).Add(d) }

func TestNextToShow(t *testing.T) {
	// Pieces that were shown before at(0) are late.
	const early, late = time.Second, -time.Second
	never := shownPiece{}
	shown := func(shown, held int, when time.Duration) shownPiece {
		return shownPiece{shown: shown, held: held, at: at(when)}
	}
	all := []int{0, 1, 2}
	for name, c := range map[string]struct {
		pieces       []shownPiece
		holds, shown []int
		quiet        bool
		want         int // -1: none
	}{
		"the first that was never shown":       {pieces: []shownPiece{never, never, never}, holds: []int{0}, want: 1},
		"before what was shown and is late":    {pieces: []shownPiece{shown(1, 0, late), shown(1, 0, late), never}, want: 2},
		"also when all is quiet":               {pieces: []shownPiece{shown(1, 1, late), shown(1, 0, late), never}, quiet: true, want: 2},
		"not what it holds":                    {pieces: []shownPiece{never, shown(1, 0, late)}, holds: []int{0}, want: 1},
		"not what it was shown":                {pieces: []shownPiece{shown(1, 0, late), never}, shown: []int{0, 1}, want: -1},
		"not what another is bringing":         {pieces: []shownPiece{shown(1, 0, early)}, want: -1},
		"not even when all is quiet":           {pieces: []shownPiece{shown(1, 0, early)}, quiet: true, want: -1},
		"what another should have brought":     {pieces: []shownPiece{shown(1, 0, early), shown(1, 0, late)}, want: 1},
		"of these the least shown":             {pieces: []shownPiece{shown(3, 0, late), shown(2, 0, late), shown(3, 0, late)}, want: 1},
		"not what somebody holds":              {pieces: []shownPiece{shown(1, 1, early), shown(0, 2, late)}, want: -1},
		"but what one keeps to itself":         {pieces: []shownPiece{shown(1, 2, late), shown(1, 1, late)}, want: 1},
		"but when all is quiet":                {pieces: []shownPiece{shown(1, 1, early)}, quiet: true, want: 0},
		"then the least held":                  {pieces: []shownPiece{shown(1, 3, late), shown(9, 2, late), shown(1, 3, late)}, quiet: true, want: 1},
		"then the least shown":                 {pieces: []shownPiece{shown(2, 2, late), shown(2, 2, late), shown(1, 2, late)}, quiet: true, want: 2},
		"late before held":                     {pieces: []shownPiece{shown(0, 1, late), shown(5, 0, late)}, quiet: true, want: 1},
		"got elsewhere, shown to nobody":       {pieces: []shownPiece{shown(0, 1, early)}, want: -1},
		"nothing to a guest that has all":      {pieces: []shownPiece{never, never, never}, holds: all, quiet: true, want: -1},
		"nothing to a guest that is shown all": {pieces: []shownPiece{never, never, never}, shown: all, quiet: true, want: -1},
	} {
		g := &guest{holds: make([]bool, len(c.pieces)), shown: make([]bool, len(c.pieces))}
		for _, i := range c.holds {
			g.holds[i] = true
		}
		for _, i := range c.shown {
			g.shown[i] = true
		}
		got, ok := nextToShow(c.pieces, g, terms{late: at(0), quiet: c.quiet})
		if ok != (c.want >= 0) || ok && got != c.want {
			t.Errorf("%s: %d, %t; want %d", name, got, ok, c.want)
		}
	}
}

// audience is guests of a showing, and what they were shown and did not
// complete. It keeps its own books, against which each showing is checked.
type audience struct {
	*rapid.T
	s      *showing
	now    time.Time
	guests []*guest
	open   map[*guest][]int
	since  map[*guest]map[int]time.Time // when shown what it is yet to complete
	holds  map[*guest]map[int]bool
	news   time.Time         // when a piece was completed that nobody held
	first  map[int]time.Time // when each piece came to be held
}

func (a *audience) join() *guest {
	var g *guest
	g = a.s.newGuest(func(pieces []int) { a.shown(g, pieces) })
	a.since[g], a.holds[g] = map[int]time.Time{}, map[int]bool{}
	a.guests = append(a.guests, g)
	a.shown(g, a.s.join(g, a.now))
	return g
}

func (a *audience) leave(g *guest) {
	a.guests = slices.DeleteFunc(a.guests, func(o *guest) bool { return o == g })
	delete(a.open, g)
	a.s.leave(g)
}

func (a *audience) completes(g *guest, piece int) {
	if !a.anyHolds(piece) && piece < len(a.s.pieces) {
		a.news, a.first[piece] = a.now, a.now
	}
	a.holds[g][piece] = true
	a.open[g] = slices.DeleteFunc(a.open[g], func(p int) bool { return p == piece })
	a.shown(g, a.s.completed(g, piece, a.now))
}

func (a *audience) anyHolds(piece int) bool {
	return slices.ContainsFunc(a.guests, func(g *guest) bool { return a.holds[g][piece] })
}

func (a *audience) holders(piece int) (n int) {
	for _, g := range a.guests {
		if a.holds[g][piece] {
			n++
		}
	}
	return n
}

// shown checks and notes that a guest was shown pieces.
func (a *audience) shown(g *guest, pieces []int) {
	for _, p := range pieces {
		if _, before := a.since[g][p]; before || a.holds[g][p] {
			a.Fatalf("a guest was shown piece %d, which it has or was shown before", p)
		}
		held := a.anyHolds(p)
		alone := a.holders(p) == 1 && a.now.Sub(a.first[p]) >= minLate
		if held && !alone && a.now.Sub(a.news) < quietAfter {
			a.Fatalf("piece %d was shown while a guest has it and all goes well", p)
		}
		for _, other := range a.guests {
			if since, ok := a.since[other][p]; ok && !held && a.now.Sub(since) < minLate {
				a.Fatalf("piece %d was shown while another guest brings it", p)
			}
		}
		a.since[g][p] = a.now
		a.open[g] = append(a.open[g], p)
	}
	if len(g.open) > openPieces || len(g.open) != len(a.open[g]) {
		a.Fatalf("%d pieces open, %v unanswered", len(g.open), a.open[g])
	}
}

func (a *audience) passes(d time.Duration) {
	a.now = a.now.Add(d)
	a.s.review(a.now)
}

// Whatever the guests do, a piece is not shown again without need, no guest has
// more than openPieces that it has not completed, and in the end each has been
// shown every piece that it lacked.
func TestShowingReachesEveryPiece(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pieces = 20
		a := &audience{T: t, s: newShowing(pieces), now: at(0), open: map[*guest][]int{}, since: map[*guest]map[int]time.Time{}, holds: map[*guest]map[int]bool{}, first: map[int]time.Time{}}
		for range rapid.IntRange(1, 5).Draw(t, "guests") {
			a.join()
		}
		for range len(a.guests) * pieces * 3 {
			g := rapid.SampledFrom(a.guests).Draw(t, "guest")
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				a.leave(g)
				a.join()
			case 1: // something that it got elsewhere
				a.completes(g, rapid.IntRange(0, pieces+3).Draw(t, "piece"))
			case 2, 3:
				a.passes(time.Duration(rapid.IntRange(1, 3000).Draw(t, "milliseconds")) * time.Millisecond)
			default:
				if len(a.open[g]) > 0 {
					a.completes(g, a.open[g][0])
				}
			}
		}
		stalled := rapid.Bool().Draw(t, "one stalls") && len(a.guests) > 1
		brings := func(i int) bool { return i > 0 || !stalled }
		for range 6 * pieces {
			a.passes(reviewPeriod)
			for i, g := range a.guests {
				if open := a.open[g]; len(open) > 0 && brings(i) {
					a.completes(g, open[0])
				}
			}
		}
		for i, g := range a.guests {
			if slices.Contains(g.holds, false) && brings(i) {
				t.Fatalf("guest %d ends without some piece: %v", i, g.holds)
			}
		}
		for _, g := range slices.Clone(a.guests) {
			a.leave(g)
			a.s.leave(g)               // twice is once
			a.s.completed(g, 0, a.now) // read from the connection before it closed
		}
		if slices.ContainsFunc(a.s.pieces, func(p shownPiece) bool { return p.held != 0 }) || len(a.s.guests) != 0 {
			t.Fatalf("all have left, yet pieces are held, or guests there: %v", a.s.pieces)
		}
	})
}

// join has guests join a showing at at(0). It returns what each is shown at once,
// and where review tells it of more.
func join(s *showing, guests int) (joined []*guest, shown [][]int, told [][]int) {
	told = make([][]int, guests)
	for i := range guests {
		g := s.newGuest(func(pieces []int) { told[i] = append(told[i], pieces...) })
		joined = append(joined, g)
		shown = append(shown, s.join(g, at(0)))
	}
	return joined, shown, told
}

func TestShowingGivesEachGuestOthers(t *testing.T) {
	_, shown, _ := join(newShowing(3*openPieces), 4)
	all := slices.Concat(shown...)
	slices.Sort(all)
	if want := []int{0, 1, 2, 3, 4, 5}; !slices.Equal(all, want) || len(shown[3]) != 0 {
		t.Errorf("four guests are shown %v of six pieces, want three two each", shown)
	}
}

// A guest that leaves frees at once what it was shown and did not complete.
func TestShowingTakesBackFromTheLeaver(t *testing.T) {
	s := newShowing(openPieces)
	guests, shown, told := join(s, 2)
	s.completed(guests[0], shown[0][0], at(time.Millisecond))
	s.leave(guests[0])
	s.review(at(2 * time.Millisecond))
	if want := shown[0][1:]; !slices.Equal(told[1], want) {
		t.Errorf("the other is shown %v at once, want %v", told[1], want)
	}
}

// What a slow guest was shown is shown to another one as soon as it is late.
func TestShowingPassesByTheSlow(t *testing.T) {
	s := newShowing(openPieces)
	_, shown, told := join(s, 2)
	s.review(at(minLate - time.Millisecond))
	if len(told[1]) != 0 {
		t.Errorf("the other is shown %v in time", told[1])
	}
	s.review(at(minLate))
	slices.Sort(shown[0])
	slices.Sort(told[1])
	if !slices.Equal(told[1], shown[0]) || len(told[0]) != 0 {
		t.Errorf("the other is shown %v when it is late, want %v", told[1], shown[0])
	}
}

// Where pieces take long, more time is given.
func TestShowingLearnsWhatIsLate(t *testing.T) {
	const pieces, each = 200, 4 * time.Second
	s := newShowing(pieces)
	guests, shown, _ := join(s, 1)
	now := time.Duration(0)
	for open := shown[0]; len(open) > 0 && now < 100*each; {
		now += each / openPieces
		open = append(open[1:], s.completed(guests[0], open[0], at(now))...)
	}
	wait := at(now).Sub(s.terms(at(now)).late)
	if wait < lateFactor*each*9/10 || wait > lateFactor*each*11/10 {
		t.Errorf("late after %s where pieces take %s, want %d times that", wait, each, lateFactor)
	}
}

// The pieces of a swarm that has come to rest are shown again; one that a guest
// keeps to itself is before that.
func TestShowingHelpsWhereAllIsQuiet(t *testing.T) {
	for holders, wait := range map[int]time.Duration{1: minLate, 2: quietAfter} {
		s := newShowing(1)
		guests, _, told := join(s, holders+1)
		for _, g := range guests[:holders] {
			s.completed(g, 0, at(0))
		}
		s.review(at(wait - time.Millisecond))
		if len(told[holders]) != 0 {
			t.Errorf("%d hold it: shown %v while they may pass it on", holders, told[holders])
		}
		s.review(at(wait))
		if !slices.Equal(told[holders], []int{0}) {
			t.Errorf("%d hold it: shown %v after %s, want the piece", holders, told[holders], wait)
		}
	}
}

func TestShowingReadsBitfields(t *testing.T) {
	s := newShowing(10)
	g := s.newGuest(nil)
	if got := s.has(g, []byte{0b10100000, 0b01000000, 0xff}, at(0)); got != nil {
		t.Errorf("shown %v before it joined", got)
	}
	var holds []int
	for i, h := range g.holds {
		if h {
			holds = append(holds, i)
		}
	}
	if want := []int{0, 2, 9}; !slices.Equal(holds, want) {
		t.Errorf("holds %v, want %v", holds, want)
	}
	s.hasAll(g, at(0))
	if got := s.join(g, at(0)); len(got) != 0 {
		t.Errorf("a complete guest is shown %v", got)
	}
}

// A guest is not held back because the others are slow to take what it would pass
// on: of two, one at a small download limit takes a piece every half a second, and
// the other is done as soon as what the slow one holds is late.
func TestShowingGoesOnBesideTheSlow(t *testing.T) {
	const pieces, each, atOnce = 100, 500 * time.Millisecond, 5
	s := newShowing(pieces)
	guests, shown, told := join(s, 2)
	slow := shown[0]
	for now := time.Duration(0); now < 6*each; now += reviewPeriod {
		open := append(shown[1], told[1]...)
		told[1] = nil
		for range atOnce {
			if len(open) > 0 {
				open = append(open[1:], s.completed(guests[1], open[0], at(now))...)
			}
		}
		shown[1] = open
		if now > 0 && now%each == 0 {
			slow = append(slow[1:], s.completed(guests[0], slow[0], at(now))...)
		}
		s.review(at(now))
	}
	if lacks := slices.Index(guests[1].holds, false); lacks >= 0 {
		t.Errorf("after %s the fast guest still lacks piece %d, with %d alone", 6*each, lacks, guests[1].hoards)
	}
}

// A guest that passes on nothing of what it was brought gets no more of it, as
// long as others keep up.
func TestShowingSparesASlowUplink(t *testing.T) {
	s := newShowing(100)
	guests, shown, _ := join(s, 3)
	open := shown[0]
	for range maxHoard - 1 {
		open = append(open[1:], s.completed(guests[0], open[0], at(0))...)
	}
	other := func(now time.Duration) []int { return s.completed(guests[1], 50+int(now/time.Second), at(now)) }
	other(0)
	if got := s.completed(guests[0], open[0], at(0)); len(got) != 0 {
		t.Errorf("shown %v while it holds %d pieces alone", got, guests[0].hoards)
	}
	held := slices.Index(guests[0].holds, true)
	got := s.completed(guests[2], held, at(time.Second))
	if s.review(at(time.Second)); guests[0].hoards != maxHoard-1 || len(guests[0].open) != openPieces {
		t.Errorf("one was passed on: %d alone, %d open (the other was shown %v)", guests[0].hoards, len(guests[0].open), got)
	}
	for p := range guests[0].open {
		s.completed(guests[0], p, at(time.Second))
	}
	if s.review(at(2 * time.Second)); len(guests[0].open) != 0 {
		t.Errorf("shown %d more", len(guests[0].open))
	}
	if s.review(at(time.Second + quietAfter)); len(guests[0].open) != openPieces {
		t.Errorf("nobody else keeps up, and it has %d open", len(guests[0].open))
	}
	s.leave(guests[0])
	if i := slices.IndexFunc(s.pieces, func(p shownPiece) bool { return p.alone == guests[0] }); i >= 0 {
		t.Errorf("piece %d is still said to be held by one that left", i)
	}
}
