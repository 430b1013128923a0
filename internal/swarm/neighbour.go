package swarm

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// neighbour is who a connection leads to.
type neighbour struct {
	conn   *conn
	to     *transfer
	key    string // address key, from its peer ID
	seeder bool
	holds  pieceSet
	guest  *guest // what it is shown; nil unless this node super-seeds
	left   sync.Once
}

// leave takes the neighbour off the transfer's books, once.
func (p *neighbour) leave() {
	p.left.Do(func() {
		p.to.disconnected(p.conn)
		p.to.held.leave(p.holds)
		if p.guest != nil {
			p.to.show.leave(p.guest)
		}
	})
}

// incoming is told what the neighbour sends.
type incoming conn

func (c *incoming) handshake(h []byte) {
	t := c.swarm.find([20]byte(h[handshakeHash:handshakePeer]))
	if t == nil {
		return // the client will hang up
	}
	id := string(h[handshakePeer:])
	p := &neighbour{conn: (*conn)(c), to: t, holds: newPieceSet(t.meta.Pieces), seeder: strings.HasPrefix(id, seederPrefix)}
	if p.seeder || strings.HasPrefix(id, peerPrefix) {
		p.key = id[len(peerPrefix):][:addressKeyLen]
	} else {
		p.key = c.stranger()
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
				zap.Stringer("address", c.RemoteAddr()))
		})
	}
	addr, err := netip.ParseAddrPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return addressKey(netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()))
}

func (c *incoming) payload(n int) {
	p := c.peer.Load()
	switch {
	case p == nil:
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
	case kind == frameHave && len(body) == haveLen-headLen:
		c.holds(p, int(binary.BigEndian.Uint32(body)))
	case kind == frameBitfield:
		p.to.held.addBitfield(p.holds, body)
		if p.guest != nil {
			(*conn)(c).tell(p.to.show.has(p.guest, body, time.Now()))
		}
	case kind == frameHaveAll:
		p.to.held.addAll(p.holds)
		if p.guest != nil {
			p.to.show.hasAll(p.guest, time.Now())
		}
	}
}

func (c *incoming) holds(p *neighbour, piece int) {
	p.to.held.add(p.holds, piece)
	if p.guest != nil {
		(*conn)(c).tell(p.to.show.completed(p.guest, piece, time.Now()))
	}
}

// outgoing is told what this node sends.
type outgoing conn

func (c *outgoing) handshake([]byte) {}

func (c *outgoing) frame(byte, []byte) {}

func (c *outgoing) payload(n int) {
	if p := c.peer.Load(); p != nil {
		p.to.counts.sent.Add(int64(n))
	}
}
