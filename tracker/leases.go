package tracker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"crow/internal/release"
)

// Times of registrations. A seeder that restarts has nine minutes to come back
// before hosts are refused.
const (
	RenewEvery = time.Minute // how often seeders renew
	leaseTime  = 10 * time.Minute
)

// leases are the torrents that were registered from outside, each until its
// lease ends.
type leases struct {
	tracker *Tracker
	most    int

	mu    sync.Mutex // held while the tracker is told, so that it and until agree
	until map[release.Digest]time.Time
}

func newLeases(t *Tracker) *leases {
	return &leases{tracker: t, most: MaxRegistration, until: map[release.Digest]time.Time{}}
}

// renew gives all of the torrents a new lease, or none if there is no room for
// all.
func (l *leases) renew(torrents []release.Digest) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	added := map[release.Digest]struct{}{}
	for _, d := range torrents {
		if _, ok := l.until[d]; !ok {
			added[d] = struct{}{}
		}
	}
	if n := len(l.until) + len(added); n > l.most {
		return fmt.Errorf("register %d torrents: the tracker would hold %d, at most %d are allowed", len(torrents), n, l.most)
	}
	until := time.Now().Add(leaseTime)
	for _, d := range torrents {
		l.until[d] = until
		l.tracker.Register(d)
	}
	return nil
}

// run ends leases until ctx ends. It returns nil.
func (l *leases) run(ctx context.Context) error { return every(ctx, sweepEvery, l.expire) }

func (l *leases) expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for d, until := range l.until {
		if now.After(until) {
			delete(l.until, d)
			l.tracker.Unregister(d)
		}
	}
}
