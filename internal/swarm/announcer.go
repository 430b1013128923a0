package swarm

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
)

// stoppedTimeout is how long trackers are told goodbye; their expiry does it otherwise.
const stoppedTimeout = time.Second

// announcer keeps the trackers and one transfer informed of each other. Each tracker
// is asked at its own pace, once at a time, so that one that is dead delays no other.
type announcer struct {
	*transfer
	trackers    map[string]*toldTracker // by announce URL
	answers     chan trackerAnswer
	asking      sync.WaitGroup
	wasComplete bool // from the beginning
}

// toldTracker is how it stands with one tracker.
type toldTracker struct {
	pace      *pace
	due       time.Time
	asked     bool // and has not answered yet
	again     bool // once it has
	started   bool // that this node is there, it knows
	completed bool // that this node is complete, it knows
}

type trackerAnswer struct {
	announceAnswer
	url, event string
	err        error
}

// announceLoop runs until the transfer ends.
func (t *transfer) announceLoop() {
	a := &announcer{transfer: t, trackers: map[string]*toldTracker{}, answers: make(chan trackerAnswer), wasComplete: t.complete()}
	for a.step() {
	}
	a.asking.Wait()
	a.stop()
}

// step asks who is to be asked and waits for something to happen. It is false when
// the transfer has ended.
func (a *announcer) step() bool {
	timer := time.NewTimer(a.askDue(time.Now()))
	defer timer.Stop()
	select {
	case <-timer.C:
	case r := <-a.answers:
		a.take(r, time.Now())
	case <-a.poke:
		for _, tr := range a.trackers {
			tr.due, tr.again = time.Time{}, tr.asked
		}
	case <-a.life.Done():
		return false
	}
	return true
}

// askDue asks each tracker whose time has come, and returns how long until that of
// the next.
func (a *announcer) askDue(now time.Time) (wait time.Duration) {
	urls := a.swarm.announceURLs()
	for u := range a.trackers {
		if !slices.Contains(urls, u) {
			delete(a.trackers, u)
		}
	}
	wait = maxRetry
	for _, u := range urls {
		tr := a.trackers[u]
		if tr == nil {
			tr = &toldTracker{pace: newPace()}
			a.trackers[u] = tr
		}
		switch {
		case tr.asked:
		case !now.Before(tr.due):
			a.ask(u, tr)
		default:
			wait = min(wait, tr.due.Sub(now))
		}
	}
	return wait
}

func (a *announcer) ask(url string, tr *toldTracker) {
	event, patience := a.event(tr), tr.pace.patience
	tr.asked = true
	a.asking.Go(func() {
		ctx, cancel := context.WithTimeout(a.life, patience)
		defer cancel()
		answer, err := a.announce(ctx, url, event)
		select {
		case a.answers <- trackerAnswer{answer, url, event, err}:
		case <-a.life.Done():
		}
	})
}

// event is what a tracker is to be told (BEP 3).
func (a *announcer) event(tr *toldTracker) string {
	switch {
	case !tr.started:
		return "started"
	case !tr.completed && !a.wasComplete && a.complete():
		return "completed"
	}
	return ""
}

// take makes use of an answer, and decides when its tracker is asked again.
func (a *announcer) take(r trackerAnswer, now time.Time) {
	if r.err != nil {
		a.swarm.log.Debug("announce failed", zap.Stringer("infohash", a.meta.InfoHash), zap.Error(r.err))
	} else {
		a.addNeighbours(r.neighbours)
	}
	tr := a.trackers[r.url]
	if tr == nil {
		return // it is no longer one
	}
	if r.err == nil {
		tr.started = tr.started || r.event == "started"
		tr.completed = tr.completed || r.event == "completed"
	}
	wait := tr.pace.next(r.interval, r.err != nil, a.complete(), a.neighbours())
	wait += time.Duration(rand.Int64N(int64(wait)/8 + 1)) // or all hosts ask at once for ever
	if tr.again || r.err == nil && a.event(tr) != "" {
		wait = 0
	}
	tr.asked, tr.again, tr.due = false, false, now.Add(wait)
}

// stop tells all trackers goodbye.
func (a *announcer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stoppedTimeout)
	defer cancel()
	for _, u := range a.swarm.announceURLs() {
		a.asking.Go(func() { _, _ = a.announce(ctx, u, "stopped") })
	}
	a.asking.Wait()
}

// announceNow has the trackers asked without waiting.
func (t *transfer) announceNow() {
	select {
	case t.poke <- struct{}{}:
	default:
	}
}
