package audit

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// edit changes the lines of a file, their ends included.
func edit(t *testing.T, path string, change func(lines [][]byte) [][]byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(b, []byte("\n"))
	changed := bytes.Join(change(lines[:len(lines)-1]), nil)
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// threeFiles makes a log with 4 entries in each of three files, and a torn line
// behind the second of the newest.
func threeFiles(t *testing.T) (*Log, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	appendAll(t, l, 1, 4)
	for _, first := range []int{5, 9} {
		l.size = maxFile
		appendAll(t, l, first, first+1)
		if first == 9 {
			appendRaw(t, path, `{"app":"web","vers`)
			l = open(t, path)
		}
		appendAll(t, l, first+2, first+3)
	}
	return l, path
}

func TestVerifyFindsTheFirstBreak(t *testing.T) {
	remove := func(i int) func([][]byte) [][]byte {
		return func(lines [][]byte) [][]byte { return slices.Delete(lines, i, i+1) }
	}
	change := func(i int) func([][]byte) [][]byte {
		return func(lines [][]byte) [][]byte {
			lines[i] = bytes.Replace(lines[i], []byte(`"who":"ann"`), []byte(`"who":"bob"`), 1)
			return lines
		}
	}
	swap := func(i int) func([][]byte) [][]byte {
		return func(lines [][]byte) [][]byte {
			lines[i], lines[i+1] = lines[i+1], lines[i]
			return lines
		}
	}
	spoil := func(i int) func([][]byte) [][]byte {
		return func(lines [][]byte) [][]byte {
			lines[i] = append(lines[i][:len(lines[i])/2], '\n')
			return lines
		}
	}
	for _, c := range []struct {
		name   string
		age    int // of the file
		change func([][]byte) [][]byte
		file   string
		line   int
		whole  int
	}{
		{"changed", 1, change(1), "audit.jsonl.1", 3, 6},
		{"changed at the end of a file", 1, change(3), "audit.jsonl", 1, 8},
		{"changed before a torn line", 0, change(1), "audit.jsonl", 4, 10},
		{"removed", 2, remove(1), "audit.jsonl.2", 2, 1},
		{"removed at the beginning", 2, remove(0), "audit.jsonl.2", 1, 0},
		{"removed at the beginning of a file", 1, remove(0), "audit.jsonl.1", 1, 4},
		{"removed at the end of a file", 1, remove(3), "audit.jsonl", 1, 7},
		{"removed before a torn line", 0, remove(1), "audit.jsonl", 3, 9},
		{"a torn line removed", 0, remove(2), "audit.jsonl", 3, 10},
		{"a torn line changed", 0, spoil(2), "audit.jsonl", 4, 10},
		{"swapped", 1, swap(1), "audit.jsonl.1", 2, 5},
		{"swapped with a torn line", 0, swap(2), "audit.jsonl", 3, 10},
		{"made unreadable", 1, spoil(1), "audit.jsonl.1", 3, 5},
		{"made empty", 1, func([][]byte) [][]byte { return nil }, "audit.jsonl", 1, 4},
		{"put in", 1, func(lines [][]byte) [][]byte { return slices.Insert(lines, 2, []byte("{}\n")) }, "audit.jsonl.1", 3, 6},
		{"no entry put in", 1, func(lines [][]byte) [][]byte { return slices.Insert(lines, 2, []byte("x\n")) }, "audit.jsonl.1", 4, 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, path := threeFiles(t)
			if n, err := Verify(path); n != 12 || err != nil {
				t.Fatalf("untouched: %d are whole, %v", n, err)
			}
			edit(t, numbered(path, c.age), c.change)
			for name, verify := range map[string]func() (int, error){"files": func() (int, error) { return Verify(path) }, "log": l.Verify} {
				n, err := verify()
				broken, ok := errors.AsType[*Break](err)
				if n != c.whole || !ok || broken.File != c.file || broken.Line != c.line {
					t.Errorf("%s: %d are whole, %v; want %d, %s line %d", name, n, err, c.whole, c.file, c.line)
				}
			}
		})
	}
}

// What the files alone cannot tell, the log that wrote them can.
func TestLogKnowsItsEnd(t *testing.T) {
	l, path := threeFiles(t)
	edit(t, path, func(lines [][]byte) [][]byte { return lines[:len(lines)-1] })
	if n, err := Verify(path); n != 11 || err != nil {
		t.Errorf("files: %d are whole, %v", n, err)
	}
	n, err := l.Verify()
	if broken, ok := errors.AsType[*Break](err); n != 11 || !ok || broken.File != "audit.jsonl" || broken.Line != 4 {
		t.Errorf("log: %d are whole, %v", n, err)
	}
	for i := range 3 {
		os.Remove(numbered(path, i))
	}
	if n, err := l.Verify(); n != 0 || err == nil {
		t.Errorf("no files: %d are whole, %v", n, err)
	}
}

func TestVerifyKnowsATornEnd(t *testing.T) {
	_, path := threeFiles(t)
	appendRaw(t, path, `{"time":"20`)
	if n, err := Verify(path); n != 12 || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
	open(t, path)
	appendRaw(t, path, `{"time":"20`) // again, and twice in a row
	l := open(t, path)
	appendAll(t, l, 13, 13)
	if n, err := l.Verify(); n != 13 || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
}

func TestVerifyMissesNoFile(t *testing.T) {
	_, path := threeFiles(t)
	os.Remove(numbered(path, 2))
	if n, err := Verify(path); n != 0 || err == nil || !strings.Contains(err.Error(), "audit.jsonl.1 line 1: it is not the log's first line") {
		t.Errorf("the oldest is gone: %d are whole, %v", n, err)
	}
	_, path = threeFiles(t)
	os.Remove(numbered(path, 1))
	if n, err := Verify(path); n != 4 || err == nil {
		t.Errorf("one between is gone: %d are whole, %v", n, err)
	}
	if _, err := Verify(filepath.Join(t.TempDir(), "audit.jsonl")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no log: %v", err)
	}
}

// The oldest file goes in time, and with it what the next one follows.
func TestVerifyOfALogThatForgot(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"))
	for i := range 2 * maxFiles {
		l.size = maxFile
		appendAll(t, l, i, i)
	}
	if n, err := l.Verify(); n != maxFiles || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
}

// What is left of it can begin with a torn line.
func TestVerifyOfALogThatForgotAllBeforeATornLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := fill(t, path, 1)
	if err := l.rotate(); err != nil {
		t.Fatal(err)
	}
	appendRaw(t, path, `{"time":"20`)
	l = open(t, path)
	for i := range maxFiles {
		appendAll(t, l, i, i)
		l.size = maxFile
	}
	if n, err := l.Verify(); n != maxFiles || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
	edit(t, numbered(path, maxFiles-1), func(lines [][]byte) [][]byte {
		if string(lines[0]) != "{\"time\":\"20\n" {
			t.Errorf("the oldest file begins with %q", lines[0])
		}
		return lines
	})
}

func TestVerifyWhileOthersAppend(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			if err := l.Append(push("web", i)); err != nil {
				t.Error(err)
			}
		}
	}()
	for busy := true; busy; {
		select {
		case <-done:
			busy = false
		default:
		}
		if n, err := l.Verify(); err != nil {
			t.Fatalf("%d are whole, %v", n, err)
		}
	}
}

// FuzzOpen has a log begin behind anything: what was whole stays so.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(nil), []byte(nil))
	f.Add([]byte("\n"), []byte("{}"))
	f.Add([]byte(`{"previous":"`), []byte(`{"previous":"0000000000000000000000000000000000000000000000000000000000000000"}`))
	f.Add(bytes.Repeat([]byte{0}, maxLine+1), []byte("x\n\n"))
	f.Fuzz(func(t *testing.T, newest, older []byte) {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		os.WriteFile(path, newest, 0o600)
		os.WriteFile(numbered(path, 1), older, 0o600)
		before, broken := Verify(path)
		l := open(t, path)
		appendAll(t, l, 1, 2)
		if got := read(t, l, "web", 2); got != "web2 web1" {
			t.Errorf("newest are %q", got)
		}
		if n, err := l.Verify(); broken == nil && (err != nil || n != before+2) {
			t.Errorf("%d are whole, %v; before it were %d", n, err, before)
		}
	})
}
