package swarm

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"crow/internal/release"
)

// limitSlice is how much is sent or received at a time under a limit, in bytes:
// little enough that connections take turns and that a low limit is no series of
// bursts.
const limitSlice = 16 << 10

// limits bound what a node's connections carry in all. A direction without a
// limit costs a look at an atomic.
type limits struct {
	upload, download *limit
	swarm, other     *lane // of the upload
}

func newLimits(upload, download release.Rate) limits {
	up := newLimit(upload)
	return limits{up, newLimit(download), newLane(up), newLane(up)}
}

// SetLimits bounds from now on what all connections together carry, in bytes a
// second; 0 is no limit.
func (s *Swarm) SetLimits(upload, download release.Rate) {
	s.limits.upload.set(upload)
	if s.limits.download.rate.Load() == int64(download) {
		return
	}
	s.limits.download.set(download)
	s.asking.limit.set(download)
	var conns []*conn
	s.byAlias.Range(func(_, c any) bool {
		conns = append(conns, c.(*conn))
		return true
	})
	s.asking.limited(conns)
	if download > 0 {
		closeWide(conns, int64(download)/2)
	}
}

// closeWide ends connections until the rest may bring no more than limit bytes at
// once. A window that was offered can't be taken back, and fast neighbours fill
// megabytes of it before they see that nobody reads any more.
func closeWide(conns []*conn, limit int64) {
	for _, c := range conns {
		coming := min(c.asks.open.Load(), c.receiving.offered())
		if coming <= 0 {
			continue
		}
		if limit -= coming; limit < 0 {
			limit += coming
			c.Close() // which frees the client's reader too, if it waits for the limit
		}
	}
}

// limit bounds one direction.
type limit struct {
	rate    atomic.Int64 // bytes a second; 0: none
	limiter *rate.Limiter
	changed atomic.Pointer[chan struct{}] // closed when the rate changes: who waits asks anew
}

func newLimit(to release.Rate) *limit {
	l := &limit{limiter: rate.NewLimiter(rate.Inf, limitSlice)}
	l.changed.Store(new(chan struct{}))
	l.set(to)
	return l
}

// set changes a limit, in bytes a second; 0 is none. A burst is a tenth of a
// second's worth, or one slice.
func (l *limit) set(to release.Rate) {
	l.rate.Store(int64(to))
	if to <= 0 {
		l.limiter.SetLimit(rate.Inf)
	} else {
		l.limiter.SetBurst(max(limitSlice, int(to/10)))
		l.limiter.SetLimit(rate.Limit(to))
	}
	anew := make(chan struct{})
	if old := *l.changed.Swap(&anew); old != nil {
		close(old)
	}
}

// on tells whether there is a limit.
func (l *limit) on() bool { return l.rate.Load() > 0 }

// wait waits until n bytes, limitSlice at most, are within the limit, or done is
// closed: then it is false.
func (l *limit) wait(n int, done <-chan struct{}) bool {
	for {
		changed := *l.changed.Load() // before the rate is looked at
		r := l.limiter.ReserveN(time.Now(), n)
		delay := r.Delay()
		if delay == 0 {
			return true
		}
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
			return true
		case <-done:
			timer.Stop()
			r.Cancel()
			return false
		case <-changed: // at the old rate it could take hours
			timer.Stop()
			r.Cancel()
		}
	}
}

// pay waits until n bytes are within the limit, if there is one, or done is closed:
// then it is false.
func (l *limit) pay(n int, done <-chan struct{}) bool {
	for ; n > 0 && l.on(); n -= limitSlice {
		if !l.wait(min(n, limitSlice), done) {
			return false
		}
	}
	return true
}

// Receive windows of connections under a limit, in bytes.
const (
	minWindow  = 16 << 10
	openWindow = 1 << 30 // as large as the kernel likes
)

// window is how much one of conns neighbours may have on the way to this node:
// what the kernel has taken in already is no longer held back by reading slowly,
// so all together are kept to a quarter of a second's worth.
func (l *limit) window(conns int) int {
	if !l.on() {
		return openWindow
	}
	return int(min(max(l.rate.Load()/4/int64(max(conns, 1)), minWindow), openWindow))
}
