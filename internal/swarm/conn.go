package swarm

import (
	"cmp"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// conn is a connection to one neighbour under the torrent client. It follows
// the frames in both directions to count payload by its source, and on a
// seeder it is where super-seeding happens.
type conn struct {
	net.Conn
	swarm *Swarm
	peer  atomic.Pointer[neighbour] // set by the neighbour's handshake

	in        framer    // used by the client's one reader alone
	receiving receiving // the same

	writing sync.Mutex // keeps frames whole; guards out and hidden
	out     framer
	hidden  bool // the seeder's own HaveAll has passed, as HaveNone

	queue sync.Mutex // guards shown
	shown []byte     // Have frames that wait for the end of a frame

	outbox *outbox
	closed atomic.Bool
	ended  chan struct{} // closed by Close
}

func newConn(s *Swarm, c net.Conn) *conn {
	receiving, err := newReceiving(c)
	if err = cmp.Or(err, setUpSending(c)); err != nil {
		s.log.Debug("could not set up a neighbour's socket", zap.Error(err))
	}
	s.conns.Add(1)
	if s.cfg.Standard {
		c = newPaddedConn(c, s.find) // not before receiving, which is the socket's
	}
	return &conn{Conn: c, receiving: receiving, swarm: s, outbox: newOutbox(), ended: make(chan struct{})}
}

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

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	limit := &c.swarm.limits.download
	limited := limit.on()
	c.receiving.prepare(c.in.pieceLeft(), limit.window(int(c.swarm.conns.Load())))
	if limited {
		b = b[:min(len(b), limitSlice)]
	}
	n, err := c.Conn.Read(b)
	c.in.feed(b[:n], (*incoming)(c))
	if limited && n > 0 && !limit.wait(n, c.ended) {
		return n, net.ErrClosed
	}
	return n, err
}

// Write implements net.Conn. The client writes whole frames, several at a time.
// Pieces wait for the uplink; everything else goes out at once.
func (c *conn) Write(b []byte) (int, error) {
	if !c.atBoundary() { // a handshake
		if err := c.send(b); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	for rest := b; len(rest) > 0; {
		control, piece, after := cutPiece(rest)
		if err := c.send(control); err != nil {
			return 0, err
		}
		if piece != nil && !c.post(piece) {
			return 0, net.ErrClosed
		}
		rest = after
	}
	return len(b), nil
}

func (c *conn) atBoundary() bool {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.out.atBoundary()
}

// post leaves a piece frame to the uplink. It reports false once the connection
// is closed.
func (c *conn) post(piece []byte) bool {
	start, ok := c.outbox.put(piece)
	if start {
		c.swarm.pumps.Go(c.pump)
	}
	return ok
}

// pump sends the frames in the outbox, one whenever the uplink has a slot for
// this connection, until there are none.
func (c *conn) pump() {
	t := c.peer.Load().to // there is one: pieces follow a handshake
	for !c.outbox.rest() {
		release, ok := c.swarm.uplink.acquire(&t.turn, c.ended)
		if !ok {
			continue // the outbox is closed too
		}
		frame, ok := c.outbox.take(t.held)
		if !ok {
			release()
			continue
		}
		err := c.sendPiece(frame)
		release()
		recycle(frame)
		if err != nil {
			c.Close() // the client's reader sees it next
		}
	}
}

// send writes whole frames, or a part of a handshake, now.
func (c *conn) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c.writing.Lock()
	if p := c.peer.Load(); !c.hidden && p != nil && p.guest != nil && c.out.atBoundary() {
		if b, c.hidden = hideHaves(b); c.hidden {
			c.show(p.to.show.join(p.guest, time.Now()))
		}
	}
	err := c.write(b)
	c.writing.Unlock()
	if err != nil {
		return err
	}
	return c.flushShown()
}

// sendPiece writes a whole piece frame as fast as the upload limit lets it.
func (c *conn) sendPiece(frame []byte) error {
	limit := &c.swarm.limits.upload
	c.writing.Lock()
	var err error
	for rest := frame; len(rest) > 0 && err == nil; {
		n := len(rest)
		if limit.on() {
			n = min(n, limitSlice)
			if !limit.wait(n, c.ended) {
				err = net.ErrClosed
				break
			}
		}
		err = c.write(rest[:n])
		rest = rest[n:]
	}
	c.writing.Unlock()
	if err != nil {
		return err
	}
	return c.flushShown()
}

// write needs c.writing.
func (c *conn) write(b []byte) error {
	_, err := c.Conn.Write(b)
	c.out.feed(b, (*outgoing)(c))
	return err
}

// show queues Have frames of pieces, to be sent by flushShown.
func (c *conn) show(pieces []int) {
	c.queue.Lock()
	defer c.queue.Unlock()
	for _, p := range pieces {
		c.shown = appendHave(c.shown, p)
	}
}

// tell shows pieces, as soon as nobody is writing.
func (c *conn) tell(pieces []int) {
	c.show(pieces)
	if err := c.flushShown(); err != nil {
		c.Conn.Close() // the client's reader sees it next
	}
}

// flushShown sends what show queued, unless a writer is at work, which then
// does it when it is done. It never waits for one: the reader calls it.
func (c *conn) flushShown() error {
	for c.hasShown() && c.writing.TryLock() {
		err := c.writeShown()
		c.writing.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *conn) hasShown() bool {
	c.queue.Lock()
	defer c.queue.Unlock()
	return len(c.shown) > 0
}

// writeShown needs c.writing. Between two writes of the client the stream is at
// a boundary, but for one that failed midway, after which the connection ends.
func (c *conn) writeShown() error {
	c.queue.Lock()
	frames := c.shown
	c.shown = nil
	c.queue.Unlock()
	if !c.out.atBoundary() {
		return nil
	}
	_, err := c.Conn.Write(frames)
	return err
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		close(c.ended)
		c.swarm.conns.Add(-1)
		c.outbox.close()
	}
	if p := c.peer.Load(); p != nil {
		p.leave()
	}
	return c.Conn.Close()
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
