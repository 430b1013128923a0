package peer

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
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
		sum, n, err := h.finish(t.Context())
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
