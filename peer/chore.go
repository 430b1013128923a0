package peer

import (
	"context"

	"crow/internal/control"
)

// ask has the loop call f, and returns once it has. The error is ctx's cause.
func (h *host) ask(ctx context.Context, f func(*agent)) error {
	done := make(chan struct{})
	select {
	case h.asks <- func(a *agent) { defer close(done); f(a) }:
		<-done
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// chore lends an app's record to f, beside the loop, as it is lent to a job. It
// does nothing, and returns nil, while somebody else has the record; else what
// is closed when the loop has it back. f saves what it changes.
func (a *agent) chore(app string, f func(rec *record)) (ended chan struct{}) {
	s := a.slots[app]
	if s == nil || !s.isIdle() || s.rec.unreadable != nil {
		return nil
	}
	s.chore, s.watched, ended = true, false, make(chan struct{})
	rec := s.rec.clone()
	a.jobs.Go(func() {
		f(&rec)
		a.events <- event{app: app, rec: rec, chore: ended}
	})
	return ended
}

// choreEnded takes a record back, and looks at what was ordered meanwhile.
func (a *agent) choreEnded(ctx context.Context, s *slot, e event) {
	s.learn(e.rec)
	s.chore = false
	a.consider(ctx, s)
	a.needs()
	if s.order != nil && !a.cache.isThere(s.order.Manifest.SHA256) {
		a.restore(ctx, s.order.Manifest.SHA256) // found corrupt meanwhile
	}
	a.changed = max(a.changed, changeProgress)
	close(e.chore)
}

// wait is for an order that a chore is in the way of. What is known of it stays.
func (s *slot) wait() {
	switch {
	case s.order == nil:
		s.verdict = nil
	case s.verdict == nil || s.verdict.Deploy != s.order.Deploy || s.verdict.Attempt < s.order.Attempt:
		s.verdict = pending(*s.order)
	}
}

// pending is what there is to say on an order that nothing is done for yet.
func pending(o control.Order) *control.JobReport {
	return &control.JobReport{Deploy: o.Deploy, App: o.Manifest.App, Version: o.Manifest.Version, Attempt: o.Attempt}
}
