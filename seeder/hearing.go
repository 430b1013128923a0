package seeder

import (
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
)

// A host that falls silent while others call is in trouble. When all do at once the
// trouble is the seeder's, or of the network before it: cut off for half a minute it
// would else find that every host has failed, and have those that went live go back.
// This file says since when the silence of hosts counts.

// witnesses are how many hosts have to fall silent together for that to say nothing of
// them: one or two may well fail at once.
const witnesses = 3

// maxDeaf is how many graces hosts are excused, so that every wait ends.
const maxDeaf = 5

// hearing is when the seeder has heard hosts.
type hearing struct {
	last  time.Time // when any host last called
	since time.Time // silence counts from then on: this life's begin, or the end of a time when nobody was heard
	deaf  bool      // nobody is heard
}

// heardOne takes down that some host called. Who was not heard while nobody was has the
// whole grace to call.
func (l *hearing) heardOne(now time.Time) {
	if l.deaf {
		l.deaf, l.since = false, now
	}
	l.last = now
}

// listen looks whether anybody is heard. Until the grace has passed five times hosts are
// excused; then the silence counts that there was before and is since.
func (l *hearing) listen(p pace, hosts map[string]*host, now time.Time) {
	silence := now.Sub(later(l.last, l.since))
	l.deaf = !l.last.IsZero() && silence >= p.deaf() && silence < maxDeaf*p.grace && l.fellSilent(p, hosts) >= witnesses
}

// fellSilent is how many hosts called as long as any did.
func (l *hearing) fellSilent(p pace, hosts map[string]*host) (n int) {
	for _, h := range hosts {
		if h.State != control.HostLeft && l.last.Sub(h.LastSeen) < p.deaf() {
			n++
		}
	}
	return n
}

// from is since when the silence of hosts counts.
func (l *hearing) from(now time.Time) time.Time {
	if l.deaf {
		return now
	}
	return l.since
}

// waits is what a deploy waits for while nobody is heard.
func (l *hearing) waits() string {
	return "any host to call: none has since " + l.last.UTC().Format(time.RFC3339) + ", so that it may be the seeder's network that is down"
}

// listen looks whether any host is heard, and tells when that changes.
func (f *fleet) listen(now time.Time) {
	before := f.hearing.deaf
	f.hearing.listen(f.pace, f.hosts, now)
	if f.hearing.deaf && !before {
		f.log.Warn("no host is heard any more: this seeder's network may be down; no host is blamed for that yet",
			zap.Time("last", f.hearing.last), zap.Duration("for_at_most", maxDeaf*f.pace.grace))
	}
}

// hears takes down that a host called.
func (f *fleet) hears(now time.Time) {
	if f.hearing.deaf {
		f.log.Info("hosts are heard again; those that stay silent are given time", zap.Duration("silence", now.Sub(f.hearing.last)))
	}
	f.hearing.heardOne(now)
}
