package peer

import (
	"context"
	"io"
	"sync/atomic"
	"time"
)

// watch returns a context that ends with the given cause once limit has passed
// without a call of beat. Every step that may wait on a disk or a network runs
// under one, so that every wait ends.
func watch(ctx context.Context, limit time.Duration, cause func() error) (watched context.Context, beat, stop func()) {
	watched, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(limit, func() { cancel(cause()) })
	beat = func() {
		if watched.Err() == nil {
			timer.Reset(limit)
		}
	}
	stop = func() {
		timer.Stop()
		cancel(context.Canceled)
	}
	return watched, beat, stop
}

// promptly returns a function that calls f, and answers nil if that takes longer
// than limit: a disk that is silent must not silence who asks it. There is one call
// at a time, and one that never ends is left behind.
func promptly[T any](f func() *T, limit time.Duration) func() *T {
	var asking atomic.Bool
	return func() *T {
		if !asking.CompareAndSwap(false, true) {
			return nil
		}
		answer := make(chan *T, 1)
		go func() {
			v := f()
			asking.Store(false)
			answer <- v
		}()
		timer := time.NewTimer(limit)
		defer timer.Stop()
		select {
		case v := <-answer:
			return v
		case <-timer.C:
			return nil
		}
	}
}

// beating is a reader that calls beat with each read and ends with its context.
type beating struct {
	ctx  context.Context
	r    io.Reader
	beat func()
}

// Read implements io.Reader.
func (b *beating) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	b.beat()
	return b.r.Read(p)
}
