package swarm

import (
	"cmp"
	"net"
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

// Read implements net.Conn.
func (c *conn) Read(b []byte) (int, error) {
	limit := c.swarm.limits.download
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
	limit := c.swarm.limits.upload
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
