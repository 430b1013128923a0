package swarm

import (
	"encoding/binary"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anacrolix/torrent"
	"go.uber.org/zap"

	"crow/internal/transport"
)

// neighbour is who a connection leads to.
type neighbour struct {
	conn     *conn
	to       *transfer
	key      string // address key, from its peer ID
	seeder   bool
	standing *standing
	since    time.Time
	useful   atomic.Bool  // it has told of a piece
	moved    atomic.Int64 // when a part of a piece last went either way, in Unix nanoseconds; at first since
	holds    pieceSet
	guest    *guest // what it is shown; nil unless this node super-seeds
	left     sync.Once
}

// leave takes the neighbour off the transfer's books, once.
func (p *neighbour) leave() {
	p.left.Do(func() {
		p.to.swarm.room.leave(p)
		p.to.disconnected(p.conn)
		p.to.resign(p.standing)
		p.to.held.leave(p.holds)
		if p.guest != nil {
			p.to.show.leave(p.guest)
		}
	})
}

// incoming is told what the neighbour sends.
type incoming conn

func (c *incoming) handshake(h []byte) {
	c.greeted()
	c.asked.fast = h[handshakeReserved+7]&fastBit != 0
	t := c.swarm.find([20]byte(h[handshakeHash:handshakePeer]))
	if t == nil {
		c.refused = true // the client would hang up too, unless it drops the torrent only now
		return
	}
	id := string(h[handshakePeer:])
	p := &neighbour{conn: (*conn)(c), to: t, since: time.Now(), holds: newPieceSet(t.meta.Pieces), seeder: strings.HasPrefix(id, seederPrefix)}
	who := identity{ip: c.remote.addr.Addr()}
	if p.seeder || strings.HasPrefix(id, peerPrefix) {
		p.key = id[len(peerPrefix):][:addressKeyLen]
		who.key = p.key
	} else {
		p.key = c.stranger()
	}
	if id, ok := transport.PeerIdentity(c.safe); ok { // which is proven
		who = identity{name: id.Name}
		p.seeder = id.Role == transport.RoleSeeder
	} else if c.remote.dialled { // then it is the one at that address, whatever it says
		who.key = addressKey(c.remote.addr)
	}
	if p.standing = t.admit(who, c.remote, p.seeder); p.standing == nil {
		c.refused = true
		return
	}
	p.moved.Store(p.since.UnixNano())
	if !p.letIn() {
		t.resign(p.standing)
		c.refused = true
		return
	}
	if t.show != nil {
		p.guest = t.show.newGuest((*conn)(c).tell)
	}
	t.joined(p.conn, p.key)
	c.peer.Store(p)
	if c.closed.Load() { // meanwhile, and Close saw nobody
		p.leave()
	}
}

// stranger is the key of a neighbour that is another client, whose peer ID says
// nothing of its address: it is known only if this node dialled it.
func (c *incoming) stranger() string {
	if !c.swarm.cfg.Standard {
		c.swarm.strangers.Do(func() {
			c.swarm.log.Warn("another BitTorrent client has joined, and refuses this node's requests: they are too large for it without swarm_standard",
				zap.Stringer("address", c.remote.addr))
		})
	}
	return addressKey(c.remote.addr)
}

// delivered notes who sent a block that is being written. It is called under the
// client's lock.
func (s *Swarm) delivered(e torrent.ReceivedUsefulDataEvent) {
	c, ok := s.byAlias.Load(e.Peer.RemoteAddr.String())
	if !ok {
		return
	}
	if p := c.(*conn).peer.Load(); p != nil {
		p.to.received(e.Message.Index.Int(), int64(e.Message.Begin), p.standing)
	}
}

func (c *incoming) payload(n int) {
	c.asks.open.Add(-int64(n))
	p := c.peer.Load()
	if p == nil {
		return
	}
	p.moved.Store(time.Now().UnixNano())
	switch {
	case p.seeder:
		p.to.counts.fromSeeder.Add(int64(n))
	default:
		p.to.counts.fromPeer.Add(int64(n))
	}
}

func (c *incoming) frame(kind byte, body []byte) {
	p := c.peer.Load()
	if p == nil {
		return
	}
	defer func() {
		if c.closed.Load() { // meanwhile: what was added behind Close's back
			p.to.held.leave(p.holds)
		}
	}()
	switch {
	case kind == frameChoke && !c.asked.fast: // it has forgotten what it was asked for
		c.swarm.asking.left((*conn)(c))
	case kind == frameReject:
		c.swarm.asking.refuses((*conn)(c), requestLen(body))
	case kind == frameRequest || kind == frameCancel:
		c.refused = c.refused || !c.asked.more(kind)
		if kind == frameCancel {
			(*conn)(c).withdraw(body)
		}
	case kind == frameHave && len(body) == haveLen-headLen:
		c.holds(p, int(binary.BigEndian.Uint32(body)))
	case kind == frameBitfield:
		p.useful.Store(true)
		p.to.held.addBitfield(p.holds, body)
		if p.guest != nil {
			(*conn)(c).tell(p.to.show.has(p.guest, body, time.Now()))
		}
	case kind == frameHaveAll:
		p.useful.Store(true)
		p.to.held.addAll(p.holds)
		if p.guest != nil {
			p.to.show.hasAll(p.guest, time.Now())
		}
	}
}

func (c *incoming) holds(p *neighbour, piece int) {
	p.useful.Store(true)
	p.to.held.add(p.holds, piece)
	if p.guest != nil {
		(*conn)(c).tell(p.to.show.completed(p.guest, piece, time.Now()))
	}
}

// outgoing is told what this node sends.
type outgoing conn

func (c *outgoing) handshake([]byte) { c.spoken.Store(true) }

func (c *outgoing) frame(kind byte, body []byte) {
	switch {
	case kind == frameChoke && !c.asked.fast: // it has forgotten what it was asked for
		c.swarm.asking.left((*conn)(c))
	case kind == frameReject:
		c.asked.answered()
	case kind == frameRequest:
		c.asks.open.Add(requestLen(body))
	case kind == frameCancel && !c.asked.fast: // nothing answers it
		c.swarm.asking.refuses((*conn)(c), requestLen(body))
	}
}

func (c *outgoing) payload(n int) {
	if p := c.peer.Load(); p != nil {
		p.moved.Store(time.Now().UnixNano())
		p.to.counts.sent.Add(int64(n))
	}
}
