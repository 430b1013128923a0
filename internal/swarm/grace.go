package swarm

import (
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

// How long a request belongs to the neighbour that it was sent to. Before it has
// waited as long as a request may take, given the links and what waits at the
// uploaders, blocks would arrive twice; after it, a neighbour that stalls keeps
// a block to itself. So it follows what requests take.
const (
	firstGrace   = 12 * time.Second // enough for 5 Mbit/s and many neighbours, until there are
	graceSamples = 32               // requests to judge by
	minGrace     = 2 * time.Second
	maxGrace     = 15 * time.Second
	// The grace is the mean and so many mean deviations, as with TCP's timeouts.
	graceDeviations = 6
)

// grace measures what requests take and sets the client's StealRequestGrace
// accordingly. But for hurry, its methods are called under the client's lock.
type grace struct {
	hurried         atomic.Bool
	config          *torrent.ClientConfig // the client's own
	sent            map[sentRequest]time.Time
	samples         int
	mean, deviation time.Duration
}

type sentRequest struct {
	peer    *torrent.Peer
	request torrent.Request
}

// measureGrace has the client's requests timed, and its grace follow.
func measureGrace(c *torrent.ClientConfig) *grace {
	g := &grace{config: c, sent: map[sentRequest]time.Time{}}
	c.StealRequestGrace = firstGrace
	c.Callbacks.SentRequest = append(c.Callbacks.SentRequest, func(e torrent.PeerRequestEvent) {
		g.sent[sentRequest{e.Peer, e.Request}] = time.Now()
	})
	c.Callbacks.ReceivedRequested = append(c.Callbacks.ReceivedRequested, func(e torrent.PeerMessageEvent) {
		spec := torrent.ChunkSpec{Begin: e.Message.Begin, Length: pp.Integer(len(e.Message.Piece))}
		g.ended(sentRequest{e.Peer, torrent.Request{Index: e.Message.Index, ChunkSpec: spec}}, true, time.Now())
	})
	c.Callbacks.DeletedRequest = append(c.Callbacks.DeletedRequest, func(e torrent.PeerRequestEvent) {
		g.ended(sentRequest{e.Peer, e.Request}, false, time.Now())
	})
	return g
}

// hurry has the next apply shorten the grace, until the next request is answered.
func (g *grace) hurry() { g.hurried.Store(true) }

// apply does what hurry asked for.
func (g *grace) apply() {
	if g.hurried.Swap(false) {
		g.config.StealRequestGrace = minGrace
	}
}

// ended notes that a request was answered or given up. One that was given up
// would have taken longer: if these did not count, a grace that is too short
// would see only what is faster than itself.
func (g *grace) ended(r sentRequest, answered bool, now time.Time) {
	sent, ok := g.sent[r]
	if !ok {
		return
	}
	delete(g.sent, r)
	if took := now.Sub(sent); answered || took >= g.mean {
		g.sample(took)
	}
}

func (g *grace) sample(took time.Duration) {
	if g.samples++; g.samples == 1 {
		g.mean, g.deviation = took, took/2
	}
	g.mean += (took - g.mean) / graceSamples
	g.deviation += ((took - g.mean).Abs() - g.deviation) / graceSamples
	if g.samples >= graceSamples {
		g.config.StealRequestGrace = min(max(g.mean+graceDeviations*g.deviation, minGrace), maxGrace)
	}
}
