package swarm

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNextToShow(t *testing.T) {
	for name, c := range map[string]struct {
		shown, held         []uint32
		holds, alreadyShown []bool
		from, want          int
		ok                  bool
	}{
		"ties go round from a start": {[]uint32{0, 0, 0}, []uint32{0, 0, 0}, make([]bool, 3), make([]bool, 3), 2, 2, true},
		"least shown":                {[]uint32{2, 1, 2}, []uint32{0, 9, 0}, make([]bool, 3), make([]bool, 3), 0, 1, true},
		"then least held":            {[]uint32{1, 1, 1}, []uint32{3, 2, 3}, make([]bool, 3), make([]bool, 3), 0, 1, true},
		"not what it holds":          {[]uint32{0, 1}, []uint32{0, 0}, []bool{true, false}, make([]bool, 2), 0, 1, true},
		"not what it was shown":      {[]uint32{0, 1}, []uint32{0, 0}, make([]bool, 2), []bool{true, false}, 0, 1, true},
		"nothing left":               {[]uint32{0, 1}, []uint32{0, 0}, []bool{true, false}, []bool{false, true}, 0, 0, false},
	} {
		got, ok := nextToShow(c.shown, c.held, &guest{holds: c.holds, shown: c.alreadyShown}, c.from)
		if got != c.want || ok != c.ok {
			t.Errorf("%s: %d, %t; want %d, %t", name, got, ok, c.want, c.ok)
		}
	}
}

// Whatever the guests do, each comes to be shown every piece that it lacks, and
// never more than openPieces that it has not completed.
func TestShowingReachesEveryPiece(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const pieces = 20
		s := newShowing(pieces)
		guests := make([]*guest, rapid.IntRange(1, 5).Draw(t, "guests"))
		waiting := make([][]int, len(guests))
		for i := range guests {
			guests[i] = s.newGuest()
			waiting[i] = s.join(guests[i])
		}
		for range len(guests) * pieces * 3 {
			i := rapid.IntRange(0, len(guests)-1).Draw(t, "guest")
			g := guests[i]
			switch rapid.IntRange(0, 9).Draw(t, "event") {
			case 0:
				s.leave(g)
				guests[i] = s.newGuest()
				waiting[i] = s.join(guests[i])
			case 1: // something that it got elsewhere
				got := rapid.IntRange(0, pieces+3).Draw(t, "piece")
				waiting[i] = slices.DeleteFunc(append(waiting[i], s.completed(g, got)...), func(p int) bool { return p == got })
			default:
				if len(waiting[i]) > 0 {
					got := waiting[i][0]
					waiting[i] = append(waiting[i][1:], s.completed(g, got)...)
				}
			}
			if guests[i].open > openPieces || guests[i].open != len(waiting[i]) {
				t.Fatalf("%d pieces open, %v unanswered", guests[i].open, waiting[i])
			}
		}
		for i, g := range guests {
			for len(waiting[i]) > 0 {
				waiting[i] = append(waiting[i][1:], s.completed(g, waiting[i][0])...)
			}
			if slices.Contains(g.holds, false) {
				t.Fatalf("guest %d ends without some piece: %v", i, g.holds)
			}
		}
		for _, g := range guests {
			s.leave(g)
			s.completed(g, 0) // read from the connection before it closed
		}
		if slices.ContainsFunc(s.held, func(n uint32) bool { return n != 0 }) {
			t.Fatalf("all have left, yet pieces are held: %v", s.held)
		}
	})
}

func TestShowingReadsBitfields(t *testing.T) {
	s := newShowing(10)
	g := s.newGuest()
	if got := s.has(g, []byte{0b10100000, 0b01000000, 0xff}); got != nil {
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
	s.hasAll(g)
	if got := s.join(g); len(got) != 0 {
		t.Errorf("a complete guest is shown %v", got)
	}
}
