package main

import (
	"errors"
	"io"
	"sync"

	"crow/seeder/build"
)

// reading reads an artifact once: what passes through it is hashed, counted
// and shown. It keeps the artifact's own error, which an HTTP client would pass
// on as one of the connection. An HTTP transport may go on reading after its
// caller has got an early answer, so halt ends it.
type reading struct {
	mu      sync.Mutex
	source  *build.Source
	hasher  *build.Hasher
	show    func(done int64)
	done    int64 // bytes
	err     error // of the artifact
	stopped bool
}

func newReading(source *build.Source, hasher *build.Hasher, show func(done int64)) *reading {
	return &reading{source: source, hasher: hasher, show: show}
}

// Size is the artifact's size in bytes: the seeder is told it beforehand.
func (r *reading) Size() int64 { return r.source.Size() }

var errStopped = errors.New("reading was stopped")

// Read implements io.Reader.
func (r *reading) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return 0, errStopped
	}
	n, err := r.source.Read(b)
	if n > 0 {
		if _, hashErr := r.hasher.Write(b[:n]); hashErr != nil {
			err = hashErr
		}
		r.done += int64(n)
		r.show(r.done)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// halt ends all reading.
func (r *reading) halt() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
}

// result is how many bytes were read, and why the artifact could not be read
// further; nil if it could.
func (r *reading) result() (done int64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.done, r.err
}
