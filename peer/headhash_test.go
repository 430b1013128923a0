package peer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

func TestHeadHashFollows(t *testing.T) {
	content := make([]byte, 5<<20+123)
	rand.NewChaCha8([32]byte{1}).Read(content)
	path := filepath.Join(t.TempDir(), "part")
	for name, c := range map[string]struct {
		there  int     // bytes in the file
		fronts []int64 // in turn
	}{
		"nothing came":      {there: len(content)},
		"in steps":          {len(content), []int64{0, 1, 1 << 20, 1<<20 + 7, 5 << 20}},
		"all of it":         {len(content), []int64{int64(len(content))}},
		"the front shrinks": {len(content), []int64{4 << 20, 2 << 20, 3 << 20}},
		"the file is short": {1000, []int64{500, 5 << 20, 5<<20 + 1}},
		"there is no file":  {-1, []int64{500}},
	} {
		os.Remove(path)
		if c.there >= 0 {
			if err := os.WriteFile(path, content[:c.there], 0o644); err != nil {
				t.Fatal(err)
			}
		}
		h := startHeadHash(path)
		for _, front := range c.fronts {
			h.advance(front)
			for len(h.news) > 0 {
				<-time.After(time.Millisecond)
			}
		}
		var want int64 // the newest front, or the farthest that an earlier one led to
		for _, front := range c.fronts {
			want = max(want, min(front, int64(max(c.there, 0))))
		}
		sum, n, err := h.finish(t.Context(), func() {})
		if err != nil || n != want {
			t.Errorf("%s: %d bytes, %v; want %d", name, n, err, want)
			continue
		}
		if _, err := io.Copy(sum, bytes.NewReader(content[n:])); err != nil {
			t.Fatal(err)
		}
		if got, want := sum.Sum(nil), sha256.Sum256(content); !bytes.Equal(got, want[:]) {
			t.Errorf("%s: the sum of %d bytes and the rest is wrong", name, n)
		}
	}
}

// TestHeadHashBeats has all of a file's hashing left to do when somebody begins
// to wait for it.
func TestHeadHashBeats(t *testing.T) {
	const reads = 6
	content := make([]byte, (reads-1)*readBuffer+1)
	path := filepath.Join(t.TempDir(), "part")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newHeadHash(path)
	h.advance(int64(len(content)))
	var beats atomic.Int64
	ended := make(chan error, 1)
	go func() {
		_, n, err := h.finish(t.Context(), func() { beats.Add(1) })
		if err == nil && n != int64(len(content)) {
			err = fmt.Errorf("%d bytes are hashed", n)
		}
		ended <- err
	}()
	eventually(t, "somebody waits", func() bool { return h.beat.Load() != nil })
	h.run()
	if err := <-ended; err != nil || beats.Load() < reads {
		t.Errorf("%d beats in %d reads, %v", beats.Load(), reads, err)
	}
}

// TestHeadHashEndsWithItsWaiter has nobody wait for the sum any more.
func TestHeadHashEndsWithItsWaiter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "part")
	if err := os.WriteFile(path, make([]byte, 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := newHeadHash(path)
	h.advance(1000)
	if _, _, err := h.finish(ctx, func() {}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if h.run(); h.n > 0 {
		t.Errorf("%d bytes are hashed for nobody", h.n)
	}
}
