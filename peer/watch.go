package peer

import (
	"context"
	"io"
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
