package swarm

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	g "github.com/anacrolix/generics"
	"github.com/anacrolix/torrent"
	pp "github.com/anacrolix/torrent/peer_protocol"
	infohash_v2 "github.com/anacrolix/torrent/types/infohash-v2"

	"crow/internal/release"
)

// progressPeriod is how often a fetch says how far it is. Asking takes the
// client's lock, so not oftener.
const progressPeriod = time.Second

// counts are the payload bytes of one torrent that passed through this node's
// connections, by the role of the neighbour.
type counts struct {
	fromPeer, fromSeeder, sent atomic.Int64
}

// transfer is one torrent on this node, offered or under way.
type transfer struct {
	swarm  *Swarm
	meta   Torrent
	file   *file
	counts counts
	held   holdings // by neighbours
	grace  *grace
	turn   int      // at the uplink, which guards it
	show   *showing // what the seeder shows whom; nil on a peer

	life context.Context // ends with the transfer
	end  context.CancelFunc
	poke chan struct{} // announce now
	t    *torrent.Torrent

	writeError chan error // the first failure to write to disk

	mu      sync.Mutex
	conns   map[*conn]string         // connections, with the address key of the neighbour
	offered map[netip.AddrPort]offer // addresses that the client was given to dial
	known   []netip.AddrPort         // addresses that were named

	nonce     uint64 // of the aliases of addresses
	standings map[identity]*standing
	badIPs    map[netip.Addr]int // neighbours cut off there
	trialEnds time.Time          // until then some are kept away

	block   int64      // what is asked for at once, in bytes
	judging sync.Mutex // guards blame
	blame   *blame[*standing]
}

func newTransfer(s *Swarm, m Torrent, f *file) *transfer {
	t := &transfer{
		swarm: s, meta: m, file: f, held: make(holdings, m.Pieces), grace: newGrace(),
		poke: make(chan struct{}, 1), writeError: make(chan error, 1), conns: map[*conn]string{}, offered: map[netip.AddrPort]offer{},
		nonce: rand.Uint64(), standings: map[identity]*standing{}, badIPs: map[netip.Addr]int{}, blame: newBlame[*standing](),
	}
	f.judged, f.unread = t.pieceJudged, t.pieceUnread
	f.deciding = func() { s.graces.apply(t.grace) }
	t.life, t.end = context.WithCancel(s.life)
	if s.cfg.Role == RoleSeeder {
		t.show = newShowing(m.Pieces)
	}
	return t
}

// open hands the torrent to the client.
func (t *transfer) open() {
	size := requestSize
	if t.swarm.cfg.Standard {
		size = requestSizeStandard
	}
	t.block = min(int64(size), t.meta.PieceLength)
	t.swarm.graces.enter(t.meta, t.grace)
	opts := torrent.AddTorrentOpts{
		Storage: t.file, ChunkSize: pp.Integer(t.block), InfoBytes: t.meta.infoBytes, PieceLayers: t.meta.layers,
	}
	opts.InfoHashV2 = g.Some(infohash_v2.T(t.meta.InfoHash))
	t.t, _ = t.swarm.client.AddTorrentOpt(opts)
	t.t.SetOnWriteChunkError(func(err error) {
		select {
		case t.writeError <- err:
		default:
		}
	})
}

// reviewLoop sees to what must be shown again, until the transfer ends.
func (t *transfer) reviewLoop() {
	tick := time.NewTicker(reviewPeriod)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			t.show.review(now)
		case <-t.life.Done():
			return
		}
	}
}

// complete tells that this node only seeds it.
func (t *transfer) complete() bool { return t.t.Complete().Bool() }

func (t *transfer) close() {
	t.end()
	t.t.Drop()
	t.swarm.graces.leave(t.meta, t.grace)
}

// fetch downloads all pieces.
func (t *transfer) fetch(ctx context.Context, update func(Progress)) error {
	t.t.DownloadAll()
	tick, look := time.NewTicker(progressPeriod), time.NewTicker(endPeriod)
	defer tick.Stop()
	defer look.Stop()
	var end ending
	idle := watchdog{since: time.Now()}
	var flow flow
	complete := t.t.Complete().On()
	for {
		select {
		case <-complete:
			update(t.progress())
			t.announceNow()
			return t.file.seal()
		case <-look.C:
			// Under a limit nothing may come for a while, and all is well.
			still := end.standsStill(t.arrived()) && t.swarm.limits.download.rate.Load() == 0 && len(t.file.missing(endPieces+1)) <= endPieces
			if t.grace.hurryEnd(still); still {
				t.nudge()
			}
		case now := <-tick.C:
			update(t.progress())
			received := t.arrived()
			ceased := flow.hasCeased(received, t.swarm.limits.download.rate.Load())
			if t.grace.hurry(ceased); ceased {
				t.nudge()
			}
			if received == idle.received {
				t.seek()
			}
			if idle.bites(received, now) {
				t.renew()
			}
		case err := <-t.writeError:
			return fmt.Errorf("write artifact: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-t.life.Done():
			return ErrClosed
		}
	}
}

// arrived is how many bytes of blocks have come.
func (t *transfer) arrived() int64 { return t.counts.fromPeer.Load() + t.counts.fromSeeder.Load() }

// progress counts the bytes so far. At the end every received byte that is not
// part of the artifact was wasted; before, blocks of unfinished pieces are
// neither, and the client's own count of useful bytes decides.
func (t *transfer) progress() Progress {
	done, local := t.t.BytesCompleted(), t.file.local.Load()
	b := release.Bytes{Local: local, Peer: t.counts.fromPeer.Load(), Seeder: t.counts.fromSeeder.Load()}
	if done == t.meta.Size {
		b.Wasted = b.Received() - (t.meta.Size - local)
	} else {
		stats := t.t.Stats()
		b.Wasted = stats.BytesReadData.Int64() - stats.BytesReadUsefulData.Int64()
	}
	b.Wasted = max(0, b.Wasted)
	return Progress{Bytes: b, Done: done, Size: t.meta.Size, Front: t.file.frontLen(), Neighbours: t.neighbours(), Rejected: t.file.rejected.Load(), CutOff: t.cutOffs()}
}
