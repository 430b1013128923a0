package swarm

import (
	"context"
	"fmt"
	"net"
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
	show   *showing // what the seeder shows whom; nil on a peer

	life context.Context // ends with the transfer
	end  context.CancelFunc
	poke chan struct{} // announce now
	t    *torrent.Torrent

	writeError chan error // the first failure to write to disk

	mu        sync.Mutex
	connected map[string]int // connections by the address key of the neighbour
}

func newTransfer(s *Swarm, m Torrent, f *file) *transfer {
	t := &transfer{
		swarm: s, meta: m, file: f,
		poke: make(chan struct{}, 1), writeError: make(chan error, 1), connected: map[string]int{},
	}
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
	size = int(min(int64(size), t.meta.PieceLength))
	opts := torrent.AddTorrentOpts{
		Storage: t.file, ChunkSize: pp.Integer(size), InfoBytes: t.meta.infoBytes, PieceLayers: t.meta.layers,
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

func (t *transfer) close() {
	t.end()
	t.t.Drop()
}

// fetch downloads all pieces.
func (t *transfer) fetch(ctx context.Context, update func(Progress)) error {
	t.t.DownloadAll()
	tick := time.NewTicker(progressPeriod)
	defer tick.Stop()
	complete := t.t.Complete().On()
	for {
		select {
		case <-complete:
			update(t.progress())
			t.announceNow()
			return t.file.seal()
		case <-tick.C:
			update(t.progress())
		case err := <-t.writeError:
			return fmt.Errorf("write artifact: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-t.life.Done():
			return ErrClosed
		}
	}
}

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
	return Progress{Bytes: b, Done: done, Size: t.meta.Size, Neighbours: t.neighbours(), Rejected: t.file.rejected.Load()}
}

// addNeighbours offers addresses to the client that it has no connection to.
func (t *transfer) addNeighbours(addrs []netip.AddrPort) {
	if t.t.Complete().Bool() {
		return
	}
	var found []torrent.PeerInfo
	for _, a := range addrs {
		if a != t.swarm.addr && !t.isConnected(addressKey(a)) {
			found = append(found, torrent.PeerInfo{Addr: net.TCPAddrFromAddrPort(a), Source: torrent.PeerSourceTracker})
		}
	}
	t.t.AddPeers(found)
}

func (t *transfer) neighbours() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, c := range t.connected {
		n += c
	}
	return n
}

func (t *transfer) isConnected(key string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.connected[key] > 0
}

func (t *transfer) countConn(key string, by int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.connected[key] += by; t.connected[key] <= 0 {
		delete(t.connected, key)
	}
}
