package peer

import (
	"context"
	"crypto/sha256"
	"hash"
	"io"
	"os"
	"sync/atomic"
)

// headHash hashes the front of a download while the rest is on its way, so that
// a large artifact is not read as a whole once more when all wait for it.
type headHash struct {
	path string
	news chan int64 // capacity 1: the newest length of the front, in bytes
	done chan struct{}
	idle atomic.Bool            // nobody wants the sum any more
	beat atomic.Pointer[func()] // called with each read, once somebody waits for the sum

	// Until done is closed these are the goroutine's.
	sum hash.Hash
	n   int64 // bytes in sum
}

// startHeadHash waits for advance. finish or stop must be called, one of them.
func startHeadHash(path string) *headHash {
	h := newHeadHash(path)
	go h.run()
	return h
}

func newHeadHash(path string) *headHash {
	return &headHash{path: path, news: make(chan int64, 1), done: make(chan struct{}), sum: sha256.New()}
}

// advance tells that the first n bytes are what they will be. It does not wait.
// Only one goroutine may call it.
func (h *headHash) advance(n int64) {
	select {
	case <-h.news:
	default:
	}
	h.news <- n
}

// stop ends the hashing with the read that is under way. It does not wait: the
// disk may hang.
func (h *headHash) stop() {
	h.idle.Store(true)
	close(h.news)
}

// whileWanted reads until nobody wants the sum any more.
type whileWanted struct {
	io.Reader
	h *headHash
}

// Read implements io.Reader.
func (w whileWanted) Read(b []byte) (int, error) {
	if w.h.idle.Load() {
		return 0, io.ErrClosedPipe
	}
	if beat := w.h.beat.Load(); beat != nil {
		(*beat)()
	}
	return w.Reader.Read(b)
}

// finish ends the hashing with what it was told of and returns the sum so far
// and how many bytes it covers. That may be all of an artifact, of which earlier
// lives had fetched most, so beat is called as it goes.
func (h *headHash) finish(ctx context.Context, beat func()) (hash.Hash, int64, error) {
	h.beat.Store(&beat)
	close(h.news)
	select {
	case <-h.done:
		return h.sum, h.n, nil
	case <-ctx.Done(): // the disk hangs
		h.idle.Store(true)
		return nil, 0, context.Cause(ctx)
	}
}

func (h *headHash) run() {
	defer close(h.done)
	var f *os.File
	defer func() { f.Close() }() // of nil: an error that says nothing
	buffer := make([]byte, readBuffer)
	for to := range h.news {
		var err error
		if f == nil {
			if f, err = os.Open(h.path); err != nil {
				continue // it is hashed later, or the fetch has failed
			}
		}
		if to <= h.n {
			continue
		}
		n, err := io.CopyBuffer(h.sum, whileWanted{io.NewSectionReader(f, h.n, to-h.n), h}, buffer)
		if h.n += n; err != nil {
			return // what is in the sum is right; the rest is read by who finishes it
		}
	}
}
