package swarm

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
	"github.com/anacrolix/torrent/metainfo"
	pp "github.com/anacrolix/torrent/peer_protocol"
)

// How long a request belongs to the neighbour that it was sent to. Before it has
// waited as long as a request may take, given the links and what waits at the
// uploaders, blocks would arrive twice; after it, a neighbour that stalls keeps
// a block to itself. So it follows what requests take.
const (
	firstGrace   = 12 * time.Second // enough for 5 Mbit/s and many neighbours, until there are
	graceSamples = 32               // requests to judge by
	endGrace     = 500 * time.Millisecond
	minGrace     = 2 * time.Second
	maxGrace     = 15 * time.Second
	// The grace is the mean and so many mean deviations, as with TCP's timeouts.
	graceDeviations = 6
)

// grace measures what the requests of one transfer take: another one's neighbours,
// its links and the length of its blocks say nothing of them. But for hurry and hurryEnd,
// its methods are called under the client's lock.
type grace struct {
	hurried         atomic.Bool // next to nothing comes
	ends            atomic.Bool // nothing comes, and little is missing
	sent            map[sentRequest]time.Time
	samples         int
	mean, deviation time.Duration
}

type sentRequest struct {
	peer    *torrent.Peer
	request torrent.Request
}

func newGrace() *grace { return &grace{sent: map[sentRequest]time.Time{}} }

// graces are those of all transfers, and where the client looks: it has but one.
type graces struct {
	config *torrent.ClientConfig
	all    sync.Map // by infohash: metainfo.Hash to *grace
}

// measureGrace has the client's requests timed.
func measureGrace(c *torrent.ClientConfig) *graces {
	g := &graces{config: c}
	c.StealRequestGrace = firstGrace
	c.Callbacks.SentRequest = append(c.Callbacks.SentRequest, func(e torrent.PeerRequestEvent) {
		if g := g.of(e.Peer); g != nil {
			g.sent[sentRequest{e.Peer, e.Request}] = time.Now()
		}
	})
	c.Callbacks.ReceivedRequested = append(c.Callbacks.ReceivedRequested, func(e torrent.PeerMessageEvent) {
		spec := torrent.ChunkSpec{Begin: e.Message.Begin, Length: pp.Integer(len(e.Message.Piece))}
		if g := g.of(e.Peer); g != nil {
			g.ended(sentRequest{e.Peer, torrent.Request{Index: e.Message.Index, ChunkSpec: spec}}, true, time.Now())
		}
	})
	c.Callbacks.DeletedRequest = append(c.Callbacks.DeletedRequest, func(e torrent.PeerRequestEvent) {
		if g := g.of(e.Peer); g != nil {
			g.ended(sentRequest{e.Peer, e.Request}, false, time.Now())
		}
	})
	return g
}

func (g *graces) of(p *torrent.Peer) *grace {
	own, _ := g.all.Load(p.Torrent().InfoHash())
	found, _ := own.(*grace)
	return found
}

// enter has a transfer's requests timed until leave.
func (g *graces) enter(m Torrent, own *grace) { g.all.Store(metainfo.Hash(m.InfoHash.Short()), own) }

func (g *graces) leave(m Torrent, own *grace) {
	g.all.CompareAndDelete(metainfo.Hash(m.InfoHash.Short()), own)
}

// apply puts a transfer's grace in force, under the client's lock: the client is
// about to choose this transfer's requests.
func (g *graces) apply(own *grace) { g.config.StealRequestGrace = own.length() }

// hurry shortens the grace until it is taken back.
func (g *grace) hurry(on bool) { g.hurried.Store(on) }

// hurryEnd shortens it more, until it is taken back, but not below what requests take in
// the mean: where uploaders are slow they would only be moved about.
func (g *grace) hurryEnd(on bool) { g.ends.Store(on) }

// length is how long the grace is.
func (g *grace) length() time.Duration {
	length := g.usual()
	if g.hurried.Load() {
		length = minGrace
	}
	if g.ends.Load() && g.samples > 0 {
		length = min(length, max(g.mean, endGrace))
	}
	return length
}

// usual is the grace while things go on. The first few requests count for as much as they
// are of those that it takes to judge.
func (g *grace) usual() time.Duration {
	measured := min(max(g.mean+graceDeviations*g.deviation, minGrace), maxGrace)
	n := time.Duration(min(g.samples, graceSamples))
	return (n*measured + (graceSamples-n)*firstGrace) / graceSamples
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
		return
	}
	n := time.Duration(min(g.samples, graceSamples))
	g.mean += (took - g.mean) / n
	g.deviation += ((took - g.mean).Abs() - g.deviation) / n
}
