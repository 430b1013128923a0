package gossip

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crow/internal/release"
)

func TestParseKeys(t *testing.T) {
	const short, long = "MDEyMzQ1Njc4OWFiY2RlZg==", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
	many := "AAAAAAAAAAAAAAAAAAAAAA==\nBAAAAAAAAAAAAAAAAAAAAA==\nCAAAAAAAAAAAAAAAAAAAAA==\nDAAAAAAAAAAAAAAAAAAAAA==\n"
	tests := map[string]struct {
		text string
		keys int // how many, or 0 for an error
		want string
	}{
		"one":             {long + "\n", 1, ""},
		"no line end":     {short, 1, ""},
		"two":             {short + "\r\n\n " + long + "\n\n", 2, ""},
		"most":            {many, 4, ""},
		"too many":        {many + short, 0, "more than 4"},
		"twice":           {long + "\n" + short + "\n" + long, 0, "key 3: it is there twice"},
		"short":           {short + "\nc2hvcnQ=", 0, "key 2: 5 bytes"},
		"no base64":       {short + "\n\nnot base64!", 0, "line 3: no base64"},
		"two in one line": {short + " " + long, 0, "line 1: no base64"},
		"none":            {"", 0, "there is none"},
		"empty lines":     {"\n \n", 0, "there is none"},
	}
	for name, test := range tests {
		keys, err := ParseKeys([]byte(test.text))
		if len(keys) != test.keys || (err == nil) != (test.keys > 0) {
			t.Errorf("%s: %d keys, %v", name, len(keys), err)
		}
		if err != nil && (!errors.Is(err, release.ErrInvalid) || !strings.Contains(err.Error(), test.want)) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
	keys, err := ParseKeys([]byte(long + "\n" + short))
	if err != nil || string(keys[0]) != "0123456789abcdef0123456789abcdef" || string(keys[1]) != "0123456789abcdef" {
		t.Errorf("keys are %q, %v", keys, err)
	}
}

func TestReadKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for content, n := range map[string]int{
		"MDEyMzQ1Njc4OWFiY2RlZg==\n": 1, "not base64!": 0, "": 0,
		"MDEyMzQ1Njc4OWFiY2RlZg==" + strings.Repeat("\n", maxKeyFile): 0,
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := ReadKeys(path)
		if len(keys) != n || (err == nil) != (n > 0) {
			t.Errorf("%.20q: %d keys, %v", content, len(keys), err)
		}
		if err != nil && (!errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), "gossip_key_file: ") || !strings.Contains(err.Error(), path)) {
			t.Errorf("%.20q: %v is no error of the config", content, err)
		}
	}
	if keys, err := ReadKeys(""); keys != nil || err != nil {
		t.Errorf("no file: %v, %v", keys, err)
	}
	if _, err := ReadKeys(path + ".not"); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("a missing file: %v", err)
	}
}

func FuzzParseKeys(f *testing.F) {
	f.Add([]byte("MDEyMzQ1Njc4OWFiY2RlZg==\nMDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := ParseKeys(text)
		if err != nil {
			if keys != nil || !errors.Is(err, release.ErrInvalid) {
				t.Fatalf("%d keys, %v", len(keys), err)
			}
			return
		}
		if len(keys) == 0 || validateKeys(keys) != nil {
			t.Fatalf("accepted %d keys: %v", len(keys), validateKeys(keys))
		}
		for i := range keys {
			if hasKey(keys[:i], keys[i]) || bytes.Equal(keys[i], nil) {
				t.Fatalf("key %d is not a key of its own", i)
			}
		}
	})
}
