package audit

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"crow/internal/release"
)

// appendRaw writes behind the log's back.
func appendRaw(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestReadPassesOverWhatIsNoEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	appendAll(t, l, 1, 1)
	for _, n := range []int{maxLine + 1, maxLine + 2, 3 * chunk} {
		appendRaw(t, path, strings.Repeat("x", n)+"\n")
	}
	appendRaw(t, path, "\n\n[]\n")
	again := open(t, path)
	appendAll(t, again, 2, 2)
	if got := read(t, again, "web", 9); got != "web2 web1" {
		t.Errorf("entries are %q", got)
	}
	if n, err := again.Verify(); n != 2 || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
}

// Who reads sees all up to some entry, none twice, however often the files get
// other names meanwhile.
func TestReadWhileFilesRotate(t *testing.T) {
	l := open(t, filepath.Join(t.TempDir(), "audit.jsonl"))
	var writer sync.WaitGroup
	defer writer.Wait()
	appended := make(chan struct{})
	writer.Go(func() {
		defer close(appended)
		for i := range 100 {
			l.mu.Lock()
			l.size = maxFile
			l.mu.Unlock()
			if err := l.Append(push("web", i)); err != nil {
				t.Error(err)
			}
		}
	})
	for busy := true; busy; {
		select {
		case <-appended:
			busy = false
		default:
		}
		entries, err := l.Read("web", 1000)
		if err != nil {
			t.Fatal(err)
		}
		for i := range len(entries) - 1 {
			if newer, older := number(t, entries[i].Version), number(t, entries[i+1].Version); newer != older+1 {
				t.Fatalf("%d comes after %d", newer, older)
			}
		}
	}
}

func number(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A read of a large log takes long, and the ledger appends meanwhile.
func TestReadHoldsUpNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	b, err := json.Marshal(line{HistoryEntry: push("db", 1)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat(append(b, '\n'), maxFile/len(b)), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, path)
	done := make(chan error, 1)
	go func() {
		_, err := l.Read("", 1<<30)
		done <- err
	}()
	for n := 0; ; n++ {
		select {
		case err := <-done:
			if err != nil || n < 5 {
				t.Errorf("%d entries were appended meanwhile, %v", n, err)
			}
			return
		default:
		}
		appendAll(t, l, n, n)
	}
}

// FuzzLines holds both ways of reading lines against splitting.
func FuzzLines(f *testing.F) {
	f.Add([]byte(""), uint16(1))
	f.Add([]byte("\n"), uint16(3))
	f.Add([]byte("a\nbc\n\nd"), uint16(1))
	f.Add([]byte("\n1234567"), uint16(chunk/8))
	f.Add([]byte("123456789\n"), uint16(chunk/4))
	f.Add([]byte("1234567890123456"), uint16(chunk/16+1))
	f.Add(append(bytes.Repeat([]byte("x"), maxLine), '\n'), uint16(5))
	f.Add(append(bytes.Repeat([]byte("x"), maxLine+1), '\n'), uint16(5))
	f.Fuzz(func(t *testing.T, unit []byte, times uint16) {
		b := bytes.Repeat(unit, min(int(times), 4*chunk/(len(unit)+1)+1))
		var want []string
		for _, text := range bytes.Split(bytes.TrimSuffix(b, []byte("\n")), []byte("\n")) {
			if len(b) > 0 {
				want = append(want, shown(text))
			}
		}
		var there, back []string
		err := forwards(bytes.NewReader(b), func(n int, text []byte, _ release.Digest) error {
			if n != len(there)+1 {
				t.Errorf("line %d is called %d", len(there)+1, n)
			}
			there = append(there, shown(text))
			return nil
		})
		if err != nil || strings.Join(there, "\n") != strings.Join(want, "\n") {
			t.Errorf("forwards: %d lines, want %d, %v", len(there), len(want), err)
		}
		err = backwards(bytes.NewReader(b), int64(len(b)), func(at span, text []byte) bool {
			if whole := b[at.begin:at.end]; len(whole) > maxLine != (text == nil) || text != nil && string(whole) != string(text) {
				t.Errorf("%v is not where %d bytes of text are", at, len(text))
			}
			back = append(back, shown(text))
			return true
		})
		slices.Reverse(back)
		if err != nil || strings.Join(back, "\n") != strings.Join(want, "\n") {
			t.Errorf("backwards: %d lines, want %d, %v", len(back), len(want), err)
		}
	})
}

// shown is a line as it is compared.
func shown(text []byte) string {
	if text == nil || len(text) > maxLine {
		return "too long"
	}
	return "=" + string(text)
}
