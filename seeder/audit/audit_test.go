package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

func open(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func push(app string, n int) control.HistoryEntry {
	return control.HistoryEntry{App: app, Version: fmt.Sprint(n), Action: "push", Who: "ann", Result: "ok"}
}

func read(t *testing.T, l *Log, app string, most int) string {
	t.Helper()
	entries, err := l.Read(app, most)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.App+e.Version)
	}
	return strings.Join(all, " ")
}

// requireChain checks that each line has the digest of the one before it.
func requireChain(t *testing.T, path string) (lines int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var before release.Digest
	for i, text := range bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) {
		var l line
		if err := json.Unmarshal(text, &l); err == nil && i > 0 && l.Previous != before {
			t.Errorf("line %d does not follow the one before it", i+1)
		}
		before = sha256.Sum256(text)
		lines++
	}
	return lines
}

func TestLogKeepsWhatWasAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	for i := range 3 {
		for _, app := range []string{"web", "db"} {
			if err := l.Append(push(app, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, again := range []*Log{l, open(t, path)} {
		if got := read(t, again, "web", 2); got != "web2 web1" {
			t.Errorf("newest of web are %q", got)
		}
		if got := read(t, again, "", 100); got != "db2 web2 db1 web1 db0 web0" {
			t.Errorf("all are %q", got)
		}
	}
	if err := open(t, path).Append(push("web", 3)); err != nil {
		t.Fatal(err)
	}
	if n := requireChain(t, path); n != 7 {
		t.Errorf("%d lines", n)
	}
}

// A crash can cut the last line off.
func TestLogGoesOnBehindATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := open(t, path).Append(push("web", 1)); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"app":"web","vers`)
	f.Close()
	l := open(t, path)
	if err := l.Append(push("web", 2)); err != nil {
		t.Fatal(err)
	}
	if got := read(t, l, "web", 9); got != "web2 web1" {
		t.Errorf("entries are %q", got)
	}
	if n := requireChain(t, path); n != 3 {
		t.Errorf("%d lines", n)
	}
}

func TestLogIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	for i := range maxFiles + 3 {
		l.size = maxFile // full, as far as it knows
		if err := l.Append(push("web", i)); err != nil {
			t.Fatal(err)
		}
	}
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) != maxFiles {
		t.Errorf("files are %v, %v", files, err)
	}
	if got := read(t, l, "web", 3); got != "web10 web9 web8" {
		t.Errorf("newest are %q", got)
	}
	if err := l.Append(control.HistoryEntry{Message: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("a line of any length was taken")
	}
}

func TestManyAppendAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 10 {
				if err := l.Append(push("web", 10*i+j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := requireChain(t, path); n != 80 {
		t.Errorf("%d lines", n)
	}
}
