package audit

import (
	"errors"
	"time"

	"golang.org/x/time/rate"

	"crow/internal/control"
)

// Entries of failed calls cost their caller nothing, and the log is bounded:
// without a rate one caller could fill it within minutes, and so remove what it
// did before. At this one, by one certificate, that takes weeks.
const (
	failedBurst = 20               // entries that a caller may have at once
	failedEvery = 30 * time.Second // until it may have one more
	maxCallers  = 64               // told apart; more of them, hosts that try what is not theirs or a seeder without TLS, share one rate
)

// otherCallers is the key of those that are too many to tell apart.
const otherCallers = ""

// callers are those whose calls failed a short while ago.
type callers map[string]*caller

// caller is one of them.
type caller struct {
	rate    *rate.Limiter
	last    control.HistoryEntry // of the last one left out
	leftOut int                  // entries, since the last one written
}

func callerOf(e control.HistoryEntry) string { return e.Role + "/" + e.Who }

// of returns an entry's caller, which it makes if need be.
func (c callers) of(e control.HistoryEntry) *caller {
	key := callerOf(e)
	if c[key] == nil && len(c) >= maxCallers {
		key = otherCallers
	}
	if c[key] == nil {
		c[key] = &caller{rate: rate.NewLimiter(rate.Every(failedEvery), failedBurst)}
	}
	return c[key]
}

// AppendFailed adds the entry of a call that failed, as Append does, unless its
// caller had too many of them: then it is left out and counted in its caller's
// next entry. If none comes, the last one left out is written once the rate
// allows it: at the next call of any method. A crash forgets those counts.
func (l *Log) AppendFailed(e control.HistoryEntry) error {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.callers.of(e)
	e = stamped(e, now)
	if !c.rate.AllowN(now, 1) {
		c.leftOut++
		c.last = e
		return l.settle(now)
	}
	return errors.Join(l.appendOf(c, e), l.settle(now))
}

// appendOf writes an entry of a caller, which is nil if none of its calls
// failed.
func (l *Log) appendOf(c *caller, e control.HistoryEntry) error {
	if c == nil {
		return l.append(e)
	}
	e.LeftOut = c.leftOut
	err := l.append(e)
	if err == nil {
		c.leftOut = 0
	}
	return err
}

// settle writes what was left out as far as the rate allows, and forgets the
// callers that have been quiet for long. It needs the lock, as all here does.
func (l *Log) settle(now time.Time) error {
	var errs []error
	for key, c := range l.callers {
		if c.leftOut > 0 && c.rate.AllowN(now, 1) {
			errs = append(errs, l.settleOne(c))
		}
		if c.leftOut == 0 && c.rate.TokensAt(now) >= failedBurst {
			delete(l.callers, key)
		}
	}
	return errors.Join(errs...)
}

// settleAll writes all that was left out.
func (l *Log) settleAll() error {
	var errs []error
	for _, c := range l.callers {
		if c.leftOut > 0 {
			errs = append(errs, l.settleOne(c))
		}
	}
	return errors.Join(errs...)
}

// settleOne writes the last entry that was left out, which tells of the others.
func (l *Log) settleOne(c *caller) error {
	e := c.last
	e.LeftOut = c.leftOut - 1
	err := l.append(e)
	if err == nil {
		c.leftOut = 0
	}
	return err
}
