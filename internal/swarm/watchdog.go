package swarm

import (
	"time"

	"github.com/anacrolix/torrent"
	"go.uber.org/zap"
)

// flow notices that next to nothing arrives any more, a tick at a time.
type flow struct {
	received int64   // bytes at the last tick
	usual    float64 // moving average of bytes in a tick
}

// Of what is usual, the share that counts as nothing, since a connection that is
// stuck may yet drip; and of the ticks that the average goes over.
const (
	flowRest  = 8
	flowTicks = 8
)

// limit is what a tick may bring at most; 0: anything. To come down to it is no
// ceasing.
func (f *flow) hasCeased(received, limit int64) bool {
	if limit > 0 {
		f.usual = min(f.usual, float64(limit))
	}
	got := float64(received - f.received)
	ceased := f.usual > 0 && got <= f.usual/flowRest // what has not begun can't cease
	f.received = received
	f.usual += (got - f.usual) / flowTicks
	return ceased
}

// Of a transfer's end: how often it is looked at, with how many missing pieces it has
// begun, and after how many looks without a byte it stands still.
const (
	endPeriod = 250 * time.Millisecond
	endPieces = 16
	endLooks  = 2
)

// ending notices that a transfer which lacks only little stands still. Then it waits for
// a neighbour that lost packets, often for seconds, while others have the pieces and
// nothing to do.
type ending struct {
	received int64 // bytes at the last look
	looks    int   // without a byte
}

func (e *ending) standsStill(received int64) bool {
	if received != e.received {
		*e = ending{received: received}
		return false
	}
	e.looks++
	return e.looks >= endLooks
}

// maxNudged is how many missing pieces a nudge names: some that any neighbour has.
const maxNudged = 64

// nudge has the client take requests away from neighbours that it has waited
// for. By itself it looks for such requests only when something comes from
// another neighbour, and in the end nothing does: the last host would wait for
// one that stalls. What makes it look is a piece that comes to be wanted, not one
// that is wanted more.
func (t *transfer) nudge() {
	if t.neighbours() == 0 {
		return
	}
	for _, i := range t.file.missing(maxNudged) {
		t.t.Piece(i).SetPriority(torrent.PiecePriorityNone) // what it is asked for stays asked for
		t.t.Piece(i).SetPriority(torrent.PiecePriorityNormal)
	}
}

// renewAfter is how long nothing may arrive before a transfer takes its
// connections for dead. It is longer than any request has, and less than the
// deadline after which a fetch without headway fails.
const renewAfter = 20 * time.Second

// watchdog notices that nothing arrives.
type watchdog struct {
	received int64
	since    time.Time
}

// bites tells, once each time, that nothing has arrived for renewAfter.
func (w *watchdog) bites(received int64, now time.Time) bool {
	if received == w.received && now.Sub(w.since) < renewAfter {
		return false
	}
	bites := received == w.received
	w.received, w.since = received, now
	return bites
}

// renew ends all connections, whatever state they got into, and looks for
// others.
func (t *transfer) renew() {
	t.mu.Lock()
	conns := make([]*conn, 0, len(t.conns))
	for c := range t.conns {
		conns = append(conns, c)
	}
	clear(t.offered)
	t.mu.Unlock()
	if len(conns) == 0 {
		return // it looks for neighbours as it is
	}
	t.swarm.log.Warn("nothing arrives: connections are renewed", zap.Stringer("infohash", t.meta.InfoHash),
		zap.Duration("idle", renewAfter), zap.Int("connections", len(conns)))
	for _, c := range conns {
		c.raw.Close() // the client's reader sees it next
	}
	t.announceNow()
}
