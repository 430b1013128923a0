package swarm

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
)

// asking holds requests back under a download limit. What a neighbour was asked for
// comes: kernels take in 64 KiB and more of it for each connection, whoever reads
// it, and there may be a dozen of them. So a node asks for no more than it may
// receive, over all connections together, each in its turn.
type asking struct {
	limit *limit // of what is asked for; the same rate as the download limit
	more  chan struct{}

	mu      sync.Mutex // guards what follows, and the held requests of connections
	waiting []*conn    // that hold requests back, in the order of their turns
	owed    int64      // bytes that were asked for and are yet to be paid for; below 0: in advance
}

// asks is what a connection's neighbour is asked for.
type asks struct {
	open atomic.Int64 // bytes that it was asked for and has not answered
	any  atomic.Bool  // some are held
	held [][]byte     // request frames, oldest first; asking.mu guards them
}

func newAsking(l *limit) *asking { return &asking{limit: l, more: make(chan struct{}, 1)} }

// run asks for what is held back as it may be, until done is closed.
func (a *asking) run(done <-chan struct{}) {
	for {
		switch pay, idle := a.step(); {
		case idle:
			select {
			case <-a.more:
			case <-done:
				return
			}
		case pay > 0 && !a.limit.wait(pay, done):
			return
		}
	}
}

// step has the next request go out once those before it are paid for. It returns
// what is to be paid now, in bytes, and whether there is nothing to do.
func (a *asking) step() (pay int, idle bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.limit.on() {
		a.owed = 0
	}
	if a.owed > 0 {
		pay = int(min(a.owed, limitSlice))
		a.owed -= int64(pay)
		return pay, false
	}
	if len(a.waiting) == 0 {
		return 0, true
	}
	c := a.waiting[0]
	a.waiting = a.waiting[1:]
	frame := c.asks.held[0]
	c.asks.held = c.asks.held[1:]
	if len(c.asks.held) > 0 {
		a.waiting = append(a.waiting, c)
	}
	c.asks.any.Store(len(c.asks.held) > 0)
	n := requestLen(frame[headLen:])
	a.owed += n
	c.asks.open.Add(n)
	c.queueFrames(frame)
	c.swarm.pumps.Go(c.flush) // a.mu: it is not closed, nor is the swarm
	return 0, false
}

// hold returns frames without the requests that have to wait.
func (a *asking) hold(c *conn, frames []byte) []byte {
	if !a.limit.on() && !c.asks.any.Load() {
		return frames
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	var pass []byte
	for at := 0; at+lengthLen <= len(frames); {
		end := min(at+lengthLen+int(binary.BigEndian.Uint32(frames[at:])), len(frames))
		pass = append(pass, a.holdOne(c, frames[at:end])...)
		at = end
	}
	a.wake()
	return pass
}

// holdOne needs a.mu. It returns what of a frame is to be sent now.
func (a *asking) holdOne(c *conn, frame []byte) []byte {
	if len(frame) != blockHeadLen || c.closed.Load() {
		return frame
	}
	switch frame[lengthLen] {
	case frameRequest:
		if len(c.asks.held) == 0 {
			a.waiting = append(a.waiting, c)
		}
		c.asks.held = append(c.asks.held, bytes.Clone(frame))
		c.asks.any.Store(true)
		return nil
	case frameCancel:
		return a.unhold(c, frame)
	}
	return frame
}

// unhold needs a.mu. A request that is taken back while it is held goes out together
// with that, for the client waits for the answer (BEP 6).
func (a *asking) unhold(c *conn, cancel []byte) []byte {
	i := slices.IndexFunc(c.asks.held, func(held []byte) bool { return bytes.Equal(held[headLen:], cancel[headLen:]) })
	if i < 0 {
		return cancel
	}
	request := c.asks.held[i]
	c.asks.held = slices.Delete(c.asks.held, i, i+1)
	if len(c.asks.held) == 0 {
		a.forget(c)
	}
	if !c.asked.fast {
		return nil
	}
	return append(request, cancel...)
}

// forget needs a.mu.
func (a *asking) forget(c *conn) {
	a.waiting = slices.DeleteFunc(a.waiting, func(o *conn) bool { return o == c })
	c.asks.held = nil
	c.asks.any.Store(false)
}

// left drops what a connection was to ask for, and what will not be answered.
func (a *asking) left(c *conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(c)
	a.refund(c.asks.open.Swap(0))
}

// refuses notes that a neighbour will not answer a request of n bytes.
func (a *asking) refuses(c *conn, n int64) {
	c.asks.open.Add(-n)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refund(n)
}

// refund needs a.mu. One request may be had in advance for what did not come, no
// more: that would be a burst.
func (a *asking) refund(n int64) {
	a.owed = max(a.owed-max(n, 0), -requestSize)
	a.wake()
}

// limited notes that the limit has changed. What conns have been asked for by then
// has to be paid for too.
func (a *asking) limited(conns []*conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.owed = 0
	for _, c := range conns {
		a.owed += max(c.asks.open.Load(), 0)
	}
	a.wake()
}

func (a *asking) wake() {
	select {
	case a.more <- struct{}{}:
	default:
	}
}

// requestLen is the length of the block that the body of a Request, Cancel or Reject
// names, in bytes.
func requestLen(body []byte) int64 {
	if len(body) != blockHeadLen-headLen {
		return 0
	}
	return int64(binary.BigEndian.Uint32(body[8:]))
}
