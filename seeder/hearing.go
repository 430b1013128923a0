package seeder

import (
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
)

// A host that falls silent while others call is in trouble. When all do at once the
// trouble is the seeder's, or of the network before it: cut off for half a minute it
// would else find that every host has failed, and have those that went live go back.
// This file says whose silence counts, and from when on.

// witnesses are how many hosts have to fall silent together for that to say nothing of
// them: one or two may well fail at once.
const witnesses = 3

// maxDeaf is for how many graces hosts are excused, so that every wait ends.
const maxDeaf = 5

// hearing is whether the seeder hears anybody.
type hearing struct {
	last time.Time // when any host last called in this life; zero: none has
	deaf time.Time // when it was noticed that nobody does; zero: somebody does
}

// excuses tells that silence is no host's fault, for those that fell silent together.
func (l hearing) excuses(p pace, now time.Time) bool {
	return !l.deaf.IsZero() && now.Sub(l.deaf) < maxDeaf*p.grace
}

// fellSilent tells that a host called as long as any did. One that was silent before is
// not excused by what befell the others later, however often it does.
func (l hearing) fellSilent(p pace, h *host) bool {
	return h.State != control.HostLeft && l.last.Sub(h.LastSeen) < p.lull()
}

// waits is what a deploy waits for while nobody is heard.
func (l hearing) waits() string {
	return "any host to call: none has since " + l.last.UTC().Format(time.RFC3339) + ", so that it may be the seeder's network that is down"
}

// silentFrom is when a host's silence begins to count, if it was not heard since.
func (f *fleet) silentFrom(h *host, now time.Time) time.Time {
	if f.hearing.excuses(f.pace, now) && f.hearing.fellSilent(f.pace, h) {
		return now
	}
	return later(h.spared, f.started)
}

// notice looks whether any host is heard.
func (f *fleet) notice(now time.Time) {
	l := &f.hearing
	if !l.deaf.IsZero() || l.last.IsZero() || now.Sub(l.last) < f.pace.lull() {
		return
	}
	together := 0
	for _, h := range f.hosts {
		if l.fellSilent(f.pace, h) {
			together++
		}
	}
	if together >= witnesses {
		l.deaf = now
		f.log.Warn("no host is heard any more: this seeder's network may be down; none is blamed for that yet",
			zap.Int("hosts", together), zap.Time("last", l.last), zap.Duration("for_at_most", maxDeaf*f.pace.grace))
	}
}

// hears takes down that some host called. Who fell silent together with it has the whole
// grace from now on. A ledger that was held up may come to this before it notices.
func (f *fleet) hears(now time.Time) {
	f.notice(now)
	l := &f.hearing
	if l.excuses(f.pace, now) {
		f.log.Info("hosts are heard again; the others are given time", zap.Duration("silence", now.Sub(l.last)))
		for _, h := range f.hosts {
			if l.fellSilent(f.pace, h) {
				h.spared = now
			}
		}
	}
	*l = hearing{last: now}
}
