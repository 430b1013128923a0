package transport

import (
	"container/list"
	"context"
	"net"
	"sync"
	"time"
)

// maxHandshakes is how many a listener does at a time: more than any processor
// is quick with, and at maxHandshakeLen each some megabytes.
const maxHandshakes = 256

// patience is how long a handshake is left alone while others wait for room. An
// honest one takes longer only on a machine that has too much to do, and then
// it is not made faster by being begun again.
const patience = time.Second

// line is the handshakes that are under way, oldest first. When it is full, the
// oldest that lost patience's worth of time makes room: who holds connections
// open and says nothing can slow others down, but not lock them out.
type line struct {
	most     int
	patience time.Duration

	mu    sync.Mutex
	under *list.List // of waiting
	left  chan struct{}
}

type waiting struct {
	conn  net.Conn
	since time.Time
}

func newLine(most int, patience time.Duration) line {
	return line{most: most, patience: patience, under: list.New(), left: make(chan struct{}, 1)}
}

// room waits until there is room for one more; false means that ctx has ended.
func (l *line) room(ctx context.Context) bool {
	for ctx.Err() == nil {
		wait, full := l.evict(time.Now())
		if !full {
			return true
		}
		select {
		case <-l.left:
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return false
}

// evict closes the oldest connection if the line is full and it has had its
// time; else it tells how long that has still.
func (l *line) evict(now time.Time) (wait time.Duration, full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.under.Len() < l.most {
		return 0, false
	}
	oldest := l.under.Front()
	w := oldest.Value.(waiting) // the list holds nothing else
	if wait := l.patience - now.Sub(w.since); wait > 0 {
		return wait, true
	}
	l.under.Remove(oldest)
	_ = w.conn.Close() // its handshake fails by that
	return 0, false
}

// join puts a connection at the end of the line until leave is called.
func (l *line) join(c net.Conn) (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.under.PushBack(waiting{c, time.Now()})
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.under.Remove(e) // does nothing if it was evicted
		select {
		case l.left <- struct{}{}:
		default:
		}
	}
}
