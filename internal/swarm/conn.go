package swarm

import (
	"cmp"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
)

// conn is a connection to one neighbour under the torrent client. It follows
// the frames in both directions to count payload by its source, and on a
// seeder it is where super-seeding happens.
type conn struct {
	net.Conn          // with whatever changes the bytes on their way
	raw      net.Conn // the socket
	safe     net.Conn // with TLS, if that is on
	swarm    *Swarm
	remote   *remoteAddr
	greeted  func()                    // called once it has
	peer     atomic.Pointer[neighbour] // set by the neighbour's handshake

	in        framer    // used by the client's one reader alone
	receiving receiving // the same
	refused   bool      // the same: it is to be ended
	asked     asked
	asks      asks

	writing sync.Mutex // keeps frames whole; guards out and hidden
	out     framer
	hidden  bool        // the seeder's own HaveAll has passed, as HaveNone
	spoken  atomic.Bool // this node's handshake has passed

	queue  sync.Mutex // guards queued
	queued []byte     // Have and Request frames that wait for the end of a frame

	outbox *outbox
	direct syscall.RawConn // the pump's: the socket, if files may be sent into it as they are
	closed atomic.Bool
	ended  chan struct{} // closed by Close
}

// newConn makes a connection of a socket, with TLS over it if that is on, or with
// nothing: safe is raw.
func newConn(s *Swarm, raw, safe net.Conn, remote *remoteAddr) *conn {
	receiving, err := newReceiving(raw)
	if err = cmp.Or(err, setUpSending(raw)); err != nil {
		s.log.Debug("could not set up a neighbour's socket", zap.Error(err))
	}
	s.conns.Add(1)
	c, direct := safe, receiving.raw
	if s.cfg.Security.On() {
		direct = nil
	}
	if s.cfg.Standard {
		c, direct = newPaddedConn(c, s.find), nil
	}
	own := &conn{
		Conn: c, raw: raw, safe: safe, swarm: s, remote: remote, greeted: func() {}, receiving: receiving, direct: direct,
		outbox: newOutbox(), ended: make(chan struct{}),
	}
	s.byAlias.Store(remote.alias, own)
	return own
}

// RemoteAddr implements net.Conn, for the client: see remoteAddr.
func (c *conn) RemoteAddr() net.Addr { return c.remote }

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	limit := c.swarm.limits.download
	c.receiving.prepare(c.lowWater(), limit.window(int(c.swarm.conns.Load())))
	if limit.on() {
		b = b[:min(len(b), limitSlice)]
	}
	n, err := c.Conn.Read(b)
	c.in.feed(b[:n], (*incoming)(c))
	if c.refused {
		return 0, net.ErrClosed
	}
	if !limit.pay(n, c.ended) { // which may have been set while this waited for bytes
		return n, net.ErrClosed
	}
	return n, err
}

// lowWater is how many bytes the socket may as well wait for; 0: not known. Under
// TLS that is so: they come in records, and some that came are still in there.
func (c *conn) lowWater() int {
	if c.swarm.cfg.Security.On() {
		return 0
	}
	return c.in.pieceLeft()
}

// Write implements net.Conn. The client writes whole frames, several at a time.
// Pieces wait for the uplink; everything else goes out at once. The bytes of a
// piece that the client gives are none: the storage did not read them.
func (c *conn) Write(b []byte) (int, error) {
	if c.greeting() {
		if err := c.send(b); err != nil {
			return 0, err
		}
		return len(b), nil
	}
	for rest := b; len(rest) > 0; {
		control, piece, after := cutPiece(rest)
		if err := c.send(c.swarm.asking.hold(c, control)); err != nil {
			return 0, err
		}
		if piece != nil {
			if err := c.post(piece); err != nil {
				return 0, err
			}
		}
		rest = after
	}
	return len(b), nil
}

// greeting tells whether this node's handshake is still to be written.
// It takes no lock: who fails to get c.writing relies on its holder to flush.
func (c *conn) greeting() bool { return !c.spoken.Load() }

// post leaves the block of a piece frame to the uplink. It fails once the
// connection is closed.
func (c *conn) post(piece []byte) error {
	u, err := parseUpload(piece)
	if err != nil {
		return err
	}
	start, ok := c.outbox.put(u)
	if start {
		c.swarm.pumps.Go(c.pump)
	}
	if !ok {
		return net.ErrClosed
	}
	return nil
}

// pump sends the blocks in the outbox, one whenever the uplink has a slot for
// this connection, until there are none.
func (c *conn) pump() {
	p := c.peer.Load()
	if p == nil { // its transfer was dropped while it shook hands
		c.Close()
		return
	}
	t := p.to
	for !c.outbox.rest() {
		if !c.swarm.uplink.wait(&t.turn, c.ended) {
			continue // the outbox is closed too
		}
		u, ok := c.outbox.take(t.held)
		// It is paid for before anything is locked: what a limited uplink has to say
		// beside pieces must not wait for it, or its own download would.
		ok = ok && c.swarm.limits.swarm.pay(u.frameLen(), c.ended)
		release := c.swarm.uplink.hold()
		if !ok {
			release()
			continue
		}
		c.asked.answered()
		err := c.sendBlock(t.file, u)
		release()
		if err != nil {
			c.Close() // the client's reader sees it next
		}
	}
}

// withdraw takes back the block of a Cancel's body, unless it is on its way.
func (c *conn) withdraw(body []byte) {
	if len(body) != blockHeadLen-headLen || !c.outbox.remove(parseBlock(body)) || !c.asked.fast {
		return // without BEP 6 nothing answers it
	}
	c.asked.answered()
	c.queueFrames(append([]byte{0, 0, 0, blockHeadLen - lengthLen, frameReject}, body...))
	c.flush()
}

// send writes whole frames, or a part of a handshake, now.
func (c *conn) send(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	c.writing.Lock()
	err := c.sendLocked(b)
	c.writing.Unlock()
	if err != nil {
		return err
	}
	return c.flushQueued()
}

// sendLocked needs c.writing.
func (c *conn) sendLocked(b []byte) error {
	if c.out.greeted() && !c.out.atBoundary() {
		return net.ErrClosed // a block failed midway: these would be taken for its bytes
	}
	if p := c.peer.Load(); !c.hidden && p != nil && p.guest != nil && c.out.atBoundary() {
		if b, c.hidden = hideHaves(b); c.hidden {
			c.show(p.to.show.join(p.guest, time.Now()))
		}
	}
	return c.write(b)
}

// sendFrame writes a whole piece frame.
func (c *conn) sendFrame(frame []byte) error {
	c.writing.Lock()
	err := c.write(frame)
	c.writing.Unlock()
	if err != nil {
		return err
	}
	return c.flushQueued()
}

// write needs c.writing.
func (c *conn) write(b []byte) error {
	n, err := c.Conn.Write(b)
	c.out.feed(b[:n], (*outgoing)(c))
	return err
}

// Close implements net.Conn. It is called under the client's lock: TLS does not get
// to say goodbye to a neighbour that may not listen.
func (c *conn) Close() error {
	if !c.closed.Swap(true) {
		close(c.ended)
		c.swarm.conns.Add(-1)
		c.outbox.close()
		c.swarm.asking.left(c)
		c.greeted()
		c.swarm.byAlias.CompareAndDelete(c.remote.alias, c)
	}
	if p := c.peer.Load(); p != nil {
		p.leave()
	}
	return c.raw.Close()
}
