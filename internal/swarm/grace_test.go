package swarm

import (
	"testing"
	"time"

	"github.com/anacrolix/torrent"
)

func TestGraceFollowsWhatRequestsTake(t *testing.T) {
	for name, c := range map[string]struct {
		took      []time.Duration // of 200 requests, in turn
		from, to  time.Duration
		abandoned bool
	}{
		"a fast network":             {took: []time.Duration{time.Millisecond}, from: minGrace, to: minGrace},
		"a slow link that many use":  {took: []time.Duration{time.Second, 2 * time.Second}, from: 3 * time.Second, to: 6 * time.Second},
		"slower than it ever allows": {took: []time.Duration{time.Minute}, from: maxGrace, to: maxGrace},
		"all are given up":           {took: []time.Duration{4 * time.Second}, from: 4 * time.Second, to: maxGrace, abandoned: true},
	} {
		var config torrent.ClientConfig
		g := &grace{config: &config, sent: map[sentRequest]time.Time{}}
		now := time.Now()
		for i := range 200 {
			r := sentRequest{request: torrent.Request{Index: 1}}
			g.sent[r] = now
			now = now.Add(c.took[i%len(c.took)])
			g.ended(r, !c.abandoned, now)
			g.ended(r, true, now.Add(time.Hour)) // the same once more is nothing
		}
		if got := config.StealRequestGrace; got < c.from || got > c.to {
			t.Errorf("%s: grace %s, want %s to %s", name, got, c.from, c.to)
		}
		if len(g.sent) != 0 {
			t.Errorf("%s: %d requests are still on the books", name, len(g.sent))
		}
	}
}

func TestGraceWaitsForEnoughSamples(t *testing.T) {
	config := torrent.ClientConfig{StealRequestGrace: firstGrace}
	g := &grace{config: &config, sent: map[sentRequest]time.Time{}}
	for range graceSamples - 1 {
		g.sample(time.Millisecond)
	}
	if config.StealRequestGrace != firstGrace {
		t.Errorf("grace %s after a few samples", config.StealRequestGrace)
	}
}
