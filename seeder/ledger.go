package seeder

import (
	"context"
	"errors"
	"time"
)

// errStopped is what asking the ledger returns once it has ended.
var errStopped = errors.New("the seeder is stopping")

// ledger is the one owner of the books. All that reads or changes them goes
// through ask, one after the other; so no two requests ever see half of a
// change, and no lock has to be thought of.
type ledger struct {
	books *books // of run alone, while it runs
	asks  chan func(*books)
	ended chan struct{}
}

func newLedger(b *books) *ledger {
	return &ledger{books: b, asks: make(chan func(*books)), ended: make(chan struct{})}
}

// run answers until ctx ends, then writes down what is not yet on disk. Those
// who ask must have ended before, or get errStopped.
func (l *ledger) run(ctx context.Context) error {
	defer close(l.ended)
	tick := time.NewTicker(l.books.pace.tick)
	defer tick.Stop()
	for {
		select {
		case f := <-l.asks:
			f(l.books)
		case now := <-tick.C:
			l.books.tick(now)
		case <-ctx.Done():
			return l.books.close(time.Now())
		}
	}
}

// ask has the ledger run f with the books and returns what f does. f must not
// block on anything but the store's disk, nor keep the books.
func ask[T any](ctx context.Context, l *ledger, f func(b *books, now time.Time) (T, error)) (T, error) {
	var (
		answer T
		err    error
	)
	done := make(chan struct{})
	one := func(b *books) {
		defer close(done)
		answer, err = f(b, time.Now())
	}
	select {
	case l.asks <- one:
		<-done // it was taken, so it runs now
		return answer, err
	case <-ctx.Done():
		return answer, ctx.Err()
	case <-l.ended:
		return answer, errStopped
	}
}

// tell is ask for what has no answer.
func tell(ctx context.Context, l *ledger, f func(b *books, now time.Time) error) error {
	_, err := ask(ctx, l, func(b *books, now time.Time) (struct{}, error) { return struct{}{}, f(b, now) })
	return err
}

// seen is what a long poll finds at one look.
type seen[T any] struct {
	value    T
	revision uint64
	changed  <-chan struct{} // closed when there is more to see
}

// follow looks until it sees another revision than after, for at most wait. It
// answers what it saw last: also when nothing changed, and when ctx ended,
// which for a seeder that stops is the time to let go of its callers.
func follow[T any](ctx context.Context, l *ledger, after uint64, wait time.Duration,
	look func(b *books, now time.Time) (seen[T], error)) (T, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		s, err := ask(ctx, l, look)
		if err != nil || s.revision != after {
			return s.value, err
		}
		select {
		case <-s.changed:
		case <-timer.C:
			return s.value, nil
		case <-ctx.Done():
			return s.value, nil
		}
	}
}
