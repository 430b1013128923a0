package swarm

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func counted(h holdings) []int {
	n := make([]int, len(h))
	for i := range h {
		n[i] = h.of(i)
	}
	return n
}

func TestHoldingsReadBitfields(t *testing.T) {
	for name, c := range map[string]struct {
		bitfield []byte
		want     []int
	}{
		"none":                         {nil, []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		"the high bit comes first":     {[]byte{0b10100000, 0b01000000}, []int{1, 0, 1, 0, 0, 0, 0, 0, 0, 1}},
		"short":                        {[]byte{0xff}, []int{1, 1, 1, 1, 1, 1, 1, 1, 0, 0}},
		"long, and spare bits are set": {[]byte{0, 0xff, 0xff, 0xff}, []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1}},
	} {
		h, s := make(holdings, 10), newPieceSet(10)
		h.addBitfield(s, c.bitfield)
		h.addBitfield(s, c.bitfield) // twice is once
		if got := counted(h); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
		h.leave(s)
		if got := counted(h); !slices.Equal(got, make([]int, 10)) {
			t.Errorf("%s: the only neighbour has left, yet %v", name, got)
		}
	}
}

// hostile are piece numbers of a neighbour that says anything, beside right ones.
func hostile(pieces int) *rapid.Generator[int] {
	return rapid.OneOf(rapid.IntRange(0, pieces-1), rapid.IntRange(-3, pieces+40), rapid.SampledFrom([]int{math.MinInt, math.MaxUint32, math.MaxInt}))
}

// The counts are those of a plain map through any sequence of messages.
func TestHoldingsCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.IntRange(1, 100).Draw(t, "pieces")
		h, sets, model := make(holdings, pieces), make([]pieceSet, 4), make([]map[int]bool, 4)
		for i := range sets {
			sets[i], model[i] = newPieceSet(pieces), map[int]bool{}
		}
		for range rapid.IntRange(0, 60).Draw(t, "messages") {
			i := rapid.IntRange(0, len(sets)-1).Draw(t, "neighbour")
			switch rapid.IntRange(0, 9).Draw(t, "message") {
			case 0:
				h.leave(sets[i])
				clear(model[i])
			case 1:
				h.addAll(sets[i])
				for p := range pieces {
					model[i][p] = true
				}
			default:
				p := hostile(pieces).Draw(t, "piece")
				h.add(sets[i], p)
				model[i][p] = true
			}
			p := hostile(pieces).Draw(t, "asked for")
			want := 0
			for _, m := range model {
				if m[p] && p >= 0 && p < pieces {
					want++
				}
			}
			if got := h.of(p); got != want {
				t.Fatalf("%d neighbours hold piece %d of %d, want %d", got, p, pieces, want)
			}
		}
		for _, s := range sets {
			h.leave(s)
		}
		if got := counted(h); !slices.Equal(got, make([]int, pieces)) {
			t.Fatalf("all have left, yet %v", got)
		}
	})
}
