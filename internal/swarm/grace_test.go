package swarm

import (
	"slices"
	"testing"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
)

func TestGraceFollowsWhatRequestsTake(t *testing.T) {
	ms := func(n ...int) (took []time.Duration) {
		for _, n := range n {
			took = append(took, time.Duration(n)*time.Millisecond)
		}
		return took
	}
	for name, c := range map[string]struct {
		took      []time.Duration // of the requests, in turn
		requests  int
		from, to  time.Duration
		abandoned bool
		hurried   bool
	}{
		"none yet":                           {from: firstGrace, to: firstGrace},
		"none yet, and nothing comes":        {from: minGrace, to: minGrace, hurried: true},
		"the first was fast":                 {took: ms(1), requests: 1, from: 11 * time.Second, to: firstGrace - 1},
		"a few were fast":                    {took: ms(1), requests: graceSamples / 2, from: 7 * time.Second, to: 7 * time.Second},
		"a few were slow":                    {took: ms(20_000), requests: graceSamples / 2, from: firstGrace + time.Second, to: maxGrace},
		"a few were fast, then nothing came": {took: ms(1), requests: 3, from: minGrace, to: minGrace, hurried: true},
		"a fast network":                     {took: ms(1), requests: 200, from: minGrace, to: minGrace},
		"enough to judge by":                 {took: ms(1), requests: graceSamples, from: minGrace, to: minGrace},
		"a slow link that many use":          {took: ms(1000, 2000), requests: 200, from: 3 * time.Second, to: 6 * time.Second},
		"slower than it ever allows":         {took: ms(60_000), requests: 200, from: maxGrace, to: maxGrace},
		"all are given up":                   {took: ms(4000), requests: 200, from: 4 * time.Second, to: maxGrace, abandoned: true},
		"it was fast and becomes slow":       {took: append(slices.Repeat(ms(100), 100), slices.Repeat(ms(3000), 100)...), requests: 200, from: 3 * time.Second, to: 7 * time.Second},
	} {
		g := newGrace()
		g.hurry(c.hurried)
		now := time.Now()
		for i := range c.requests {
			r := sentRequest{request: torrent.Request{Index: 1}}
			g.sent[r] = now
			now = now.Add(c.took[i%len(c.took)])
			g.ended(r, !c.abandoned, now)
			g.ended(r, true, now.Add(time.Hour)) // the same once more is nothing
		}
		if got := g.length(); got < c.from || got > c.to {
			t.Errorf("%s: grace %s, want %s to %s", name, got, c.from, c.to)
		}
		if len(g.sent) != 0 {
			t.Errorf("%s: %d requests are still on the books", name, len(g.sent))
		}
		before := g.length()
		if g.hurryEnd(true); g.samples > 0 && g.length() != min(before, max(endGrace, g.mean)) {
			t.Errorf("%s: in the end the grace is %s, %s before, and a request takes %s in the mean", name, g.length(), before, g.mean)
		}
		g.hurryEnd(false)
		if g.hurry(false); c.hurried && g.length() == minGrace {
			t.Errorf("%s: it stays short when things go on", name)
		}
	}
}

// What one transfer's requests take is nothing to another, and the client looks at
// that of the transfer that it chooses requests for.
func TestGraceIsATransfersOwn(t *testing.T) {
	s := node(t, RolePeer, "127.0.0.1")
	var transfers [2]*transfer
	for i := range transfers {
		transfers[i] = newTransfer(s, oddTorrent, &file{})
	}
	for range graceSamples {
		transfers[0].grace.sample(time.Millisecond)
	}
	for i, want := range []time.Duration{minGrace, firstGrace, minGrace} {
		impl, err := transfers[i%2].file.OpenTorrent(t.Context(), &metainfo.Info{}, metainfo.Hash{})
		if err != nil {
			t.Fatal(err)
		}
		if room, bounded := (*impl.Capacity)(); bounded {
			t.Errorf("the client is told that there is room for %d bytes", room)
		}
		if got := s.graces.config.StealRequestGrace; got != want {
			t.Errorf("grace %s, want %s", got, want)
		}
	}
}

// A real fetch has its own requests timed, and none stays on the books.
func TestGraceOfAFetch(t *testing.T) {
	c := newCrowd(t, 1, 2, 4<<20)
	c.fetchAll(t)
	c.hosts[0].client.Close() // which then calls nothing any more
	for _, b := range c.torrents {
		m, _ := ParseTorrent(b)
		g := c.hosts[0].find(m.InfoHash.Short()).grace
		if g.samples < m.Pieces/2 || len(g.sent) != 0 {
			t.Errorf("%d requests timed of %d pieces, %d still open", g.samples, m.Pieces, len(g.sent))
		}
	}
}
