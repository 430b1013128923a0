package gossip

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crow/internal/release"
)

func TestReadKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for content, size := range map[string]int{
		"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n": 32, "MDEyMzQ1Njc4OWFiY2RlZg==": 16, "c2hvcnQ=": -1, "not base64!": -1, "": -1,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		key, err := ReadKey(path)
		if (err == nil) != (size >= 0) || err == nil && len(key) != size {
			t.Errorf("key %q: %d bytes, %v", content, len(key), err)
		}
		if err != nil && (!errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), "gossip_key_file: ")) {
			t.Errorf("key %q: %v is no error of the config", content, err)
		}
	}
	if key, err := ReadKey(""); key != nil || err != nil {
		t.Errorf("no file: %v, %v", key, err)
	}
	if _, err := ReadKey(path + ".not"); err == nil {
		t.Error("a missing file is no error")
	}
}
