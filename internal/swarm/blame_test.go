package swarm

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestBlame(t *testing.T) {
	right := []uint64{1, 2, 3}
	type step struct {
		from string   // the sender of each block, - for none
		sums []uint64 // what came; right passes
	}
	for name, c := range map[string]struct {
		steps []step
		want  verdict[byte]
	}{
		"all is right":                        {[]step{{"abc", right}}, verdict[byte]{}},
		"who alone sent a bad piece":          {[]step{{"aaa", []uint64{1, 0, 3}}}, verdict[byte]{guilty: []byte("a")}},
		"nobody of several":                   {[]step{{"aba", []uint64{1, 0, 3}}}, verdict[byte]{}},
		"until it has come again":             {[]step{{"aba", []uint64{1, 0, 3}}, {"aaa", right}}, verdict[byte]{guilty: []byte("b")}},
		"from whomever":                       {[]step{{"aba", []uint64{1, 0, 3}}, {"ddb", right}}, verdict[byte]{guilty: []byte("b")}},
		"each that was wrong":                 {[]step{{"abc", []uint64{0, 2, 0}}, {"ddd", right}}, verdict[byte]{guilty: []byte("ac")}},
		"once a try":                          {[]step{{"abb", []uint64{1, 0, 0}}, {"ddd", right}}, verdict[byte]{guilty: []byte("b")}},
		"the last of some tries":              {[]step{{"aba", []uint64{1, 0, 3}}, {"bbb", []uint64{0, 0, 0}}}, verdict[byte]{guilty: []byte("b")}},
		"twice wrong with several: a trial":   {[]step{{"aba", []uint64{1, 0, 3}}, {"cba", []uint64{1, 0, 3}}}, verdict[byte]{away: []byte("ba")}},
		"which ends when it passes":           {[]step{{"aba", []uint64{1, 0, 3}}, {"aba", []uint64{1, 0, 3}}, {"aaa", right}}, verdict[byte]{guilty: []byte("bb"), ended: true}},
		"or with who alone was left":          {[]step{{"bab", []uint64{0, 2, 3}}, {"bab", []uint64{0, 2, 3}}, {"bbb", []uint64{0, 2, 3}}}, verdict[byte]{guilty: []byte("b"), ended: true}},
		"a block that was there before":       {[]step{{"a-a", []uint64{0, 2, 3}}}, verdict[byte]{}},
		"a piece that could not be read back": {[]step{{"aba", nil}, {"aaa", right}}, verdict[byte]{}},
	} {
		b := newBlame[byte]()
		var got verdict[byte]
		for _, s := range c.steps {
			for i, from := range []byte(s.from) {
				if from != '-' {
					b.received(7, i, 3, from)
				}
			}
			b.received(7, 3, 3, 'x') // no such block
			b.received(7, -1, 3, 'x')
			judge := b.failed
			if slices.Equal(s.sums, right) {
				judge = b.passed
			}
			got = judge(7, func() []uint64 { return s.sums })
		}
		if !slices.Equal(got.guilty, c.want.guilty) || !slices.Equal(got.away, c.want.away) || got.ended != c.want.ended {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestBlameForgets(t *testing.T) {
	b := newBlame[byte]()
	b.received(1, 0, 1, 'a')
	b.forget(1)
	b.forget(2)
	if v := b.failed(1, nil); v.guilty != nil {
		t.Errorf("%+v for a piece that could not be read", v)
	}
	b.passed(1, nil)
	for piece := range 2 * maxTries {
		for range 2 * maxPieceTries {
			b.received(piece, 0, 2, 'a')
			b.received(piece, 1, 2, 'b')
			b.failed(piece, func() []uint64 { return []uint64{0, 0} })
		}
	}
	if b.kept > maxTries {
		t.Errorf("%d failed tries are kept", b.kept)
	}
	for piece := range 2 * maxTries {
		b.passed(piece, func() []uint64 { return []uint64{1, 1} })
	}
	if b.kept != 0 || len(b.under) != 0 {
		t.Errorf("%d tries and %d pieces are kept of what has passed", b.kept, len(b.under))
	}
}

// A swarm with liars in it: nobody honest is cut off, and as long as somebody
// honest is there every piece comes, however often a liar lies.
func TestBlameFindsLiarsAndNobodyElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		honest, liars := rapid.IntRange(1, 8).Draw(t, "honest"), rapid.IntRange(0, 8).Draw(t, "liars")
		blocks := rapid.IntRange(1, 40).Draw(t, "blocks")
		pieces := rapid.IntRange(1, 12).Draw(t, "pieces")
		lies := rapid.IntRange(1, 100).Draw(t, "lies") // of a hundred blocks
		rng := rapid.Custom(func(t *rapid.T) int { return rapid.IntRange(0, 1<<30).Draw(t, "n") })
		seed := uint64(rng.Draw(t, "seed"))
		roll := func(n int) int { // rapid would take minutes for so many
			seed = seed*6364136223846793005 + 1442695040888963407
			return int(seed>>33) % n
		}
		b := newBlame[int]()
		guilty, away := map[int]bool{}, map[int]bool{}
		left := slices.Collect(func(yield func(int) bool) {
			for i := range pieces {
				if !yield(i) {
					return
				}
			}
		})
		for tries := 0; len(left) > 0; tries++ {
			if tries > 40*(pieces+liars+1) {
				t.Fatalf("%d pieces have not come after %d tries; cut off: %v", len(left), tries, guilty)
			}
			var there []int // 1.. are honest, then liars
			for i := 1; i <= honest+liars; i++ {
				if !guilty[i] && !away[i] {
					there = append(there, i)
				}
			}
			if len(there) == 0 { // the trial's time is up
				clear(away)
				continue
			}
			at := roll(len(left))
			sums, right := make([]uint64, blocks), make([]uint64, blocks)
			for i := range blocks {
				right[i] = uint64(i + 1)
				from := there[roll(len(there))]
				if sums[i] = right[i]; from > honest && roll(100) < lies {
					sums[i] = 0
				}
				b.received(left[at], i, blocks, from)
			}
			judge := b.failed
			if slices.Equal(sums, right) {
				judge = b.passed
			}
			v := judge(left[at], func() []uint64 { return sums })
			if slices.Equal(sums, right) {
				left = slices.Delete(left, at, at+1)
			}
			if v.ended {
				clear(away)
			}
			for _, s := range v.away {
				away[s] = true
			}
			for _, s := range v.guilty {
				if s <= honest {
					t.Fatalf("neighbour %d is honest and was cut off", s)
				}
				guilty[s] = true
			}
		}
	})
}
