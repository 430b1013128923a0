package audit

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"crow/internal/control"
)

// appendAll appends the pushes from first to last of web.
func appendAll(t *testing.T, l *Log, first, last int) {
	t.Helper()
	for i := first; i <= last; i++ {
		if err := l.Append(push("web", i)); err != nil {
			t.Fatal(err)
		}
	}
}

// fill makes a log of so many full files, one entry in each.
func fill(t *testing.T, path string, files int) *Log {
	t.Helper()
	l := open(t, path)
	for i := range files {
		appendAll(t, l, i, i)
		l.size = maxFile // full, as far as it knows
	}
	return l
}

// withoutDescriptors runs f while the process can open nothing.
func withoutDescriptors(t *testing.T, f func()) {
	t.Helper()
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	none := was
	none.Cur = 0
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
			t.Fatal(err)
		}
	}()
	f()
}

func TestFailedRotationMovesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := fill(t, path, maxFiles)
	withoutDescriptors(t, func() {
		for range 3 * maxFiles {
			if err := l.Append(push("web", 99)); err == nil {
				t.Fatal("the log went on without a descriptor")
			}
		}
	})
	if got := read(t, l, "", 99); got != "web7 web6 web5 web4 web3 web2 web1 web0" {
		t.Errorf("entries are %q", got)
	}
	appendAll(t, l, 8, 8)
	if got := read(t, l, "", 99); got != "web8 web7 web6 web5 web4 web3 web2 web1" {
		t.Errorf("entries are %q", got)
	}
}

// The renaming itself can fail, too, and half-way.
func TestRotationThatFailedHalfWayIsTriedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := fill(t, path, maxFiles-1)
	inTheWay := numbered(path, maxFiles-1)
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	for range 2 * maxFiles {
		if err := l.Append(push("web", 99)); err == nil {
			t.Fatal("a folder was replaced")
		}
	}
	os.RemoveAll(inTheWay)
	os.Rename(numbered(path, 6), inTheWay)
	os.Rename(numbered(path, 5), numbered(path, 6)) // as if it had ended here
	for range 2 {
		appendAll(t, l, 7, 7)
	}
	if got := read(t, l, "", 99); got != "web7 web7 web6 web5 web4 web3 web2 web1 web0" {
		t.Errorf("entries are %q", got)
	}
	if n, err := Verify(path); n != 9 || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
}

// A crash can come after the shift, or before the first line is on the disk.
func TestLogGoesOnFromAnOlderFile(t *testing.T) {
	for name, crash := range map[string]func(path string) error{
		"no newest file":    func(string) error { return nil },
		"an empty one":      func(path string) error { return os.WriteFile(path, nil, 0o600) },
		"a torn line alone": func(path string) error { return os.WriteFile(path, []byte(`{"time":`), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "audit.jsonl")
			l := open(t, path)
			appendAll(t, l, 1, 3)
			if err := errors.Join(os.Rename(path, numbered(path, 1)), crash(path)); err != nil {
				t.Fatal(err)
			}
			again := open(t, path)
			appendAll(t, again, 4, 4)
			if n, err := again.Verify(); n != 4 || err != nil {
				t.Errorf("%d are whole, %v", n, err)
			}
		})
	}
}

// A write that could not be undone leaves part of a line.
func TestLogGoesOnBehindAFailedWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	appendAll(t, l, 1, 1)
	l.file.WriteString(`{"time":`)
	l.lost = true
	appendAll(t, l, 2, 3)
	if n, err := l.Verify(); n != 3 || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
}

// A line that could not be synced is there: the next one follows it.
func TestLogGoesOnBehindAFailedSync(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l := open(t, path)
	r, w, err := os.Pipe() // cannot be synced
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	disk := l.file
	l.file = w
	if err := l.Append(push("web", 1)); err == nil || !strings.HasPrefix(err.Error(), "append to audit log: ") {
		t.Errorf("error is %v", err)
	}
	b := make([]byte, maxLine)
	n, _ := r.Read(b)
	disk.Write(b[:n])
	l.file = disk
	appendAll(t, l, 2, 2)
	if n, err := l.Verify(); n != 2 || err != nil {
		t.Errorf("%d are whole, %v", n, err)
	}
}

func TestOpenNamesWhatFailed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	if err := os.Mkdir(numbered(path, 1), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil || !strings.HasPrefix(err.Error(), "read audit log: ") {
		t.Errorf("error is %v", err)
	}
	if err := open(t, filepath.Join(t.TempDir(), "a")).Append(control.HistoryEntry{Message: strings.Repeat("x", maxLine)}); err == nil {
		t.Error("a line of any length was taken")
	}
}
