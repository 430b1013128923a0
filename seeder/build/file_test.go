package build

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"crow/internal/release"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name string
		make func(path string) error
		want string // in the message
	}{
		{"missing", func(string) error { return nil }, "no such file"},
		{"below-a-file/x", func(p string) error { return os.WriteFile(filepath.Dir(p), []byte("x"), 0o644) }, "not a directory"},
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o644) }, "it is empty"},
		{"pipe", func(p string) error { return syscall.Mkfifo(p, 0o644) }, "named pipe"},
		{"dangling", func(p string) error { return os.Symlink("nowhere", p) }, "no such file"},
		{"loop", func(p string) error { return os.Symlink("loop", p) }, "too many levels"},
		{"device", func(p string) error { return os.Symlink(os.DevNull, p) }, "device"},
		{"empty-dir", func(p string) error { return os.Mkdir(p, 0o755) }, "the directory is empty"},
		{"huge", func(p string) error {
			return errors.Join(os.WriteFile(p, nil, 0o644), os.Truncate(p, release.MaxArtifactSize+1))
		}, "at most 1 TiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.make(at(tt.name)); err != nil {
				t.Skipf("cannot make it here: %v", err)
			}
			s, err := Open(at(tt.name))
			if err == nil {
				s.Close()
				t.Fatal("it opened")
			}
			if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), at(tt.name)) {
				t.Errorf("error %q, want one of ErrUnusable with %q and the path", err, tt.want)
			}
		})
	}
}

func TestOpenRefusesSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := Open(path); !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "socket") {
		t.Errorf("error %v", err)
	}
}

func TestOpenNamesUnreadable(t *testing.T) {
	tests := []struct {
		name, open, locked string
	}{
		{"file", "a/b/secret", "a/b/secret"},
		{"file in a directory", "a", "a/b/secret"},
		{"directory in a directory", "a", "a/b"},
		{"directory", "a", "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, d := range []string{filepath.Dir(dir), dir} {
				if err := os.Chmod(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			mkdir(t, filepath.Join(dir, "a/b"))
			write(t, filepath.Join(dir, "a/a"), []byte("x"))
			write(t, filepath.Join(dir, "a/b/secret"), []byte("x"))
			if err := os.Chmod(filepath.Join(dir, tt.locked), 0); err != nil {
				t.Fatal(err)
			}
			defer os.Chmod(filepath.Join(dir, tt.locked), 0o755)
			unprivileged(t, func() {
				_, err := Open(filepath.Join(dir, tt.open))
				want := filepath.Join(dir, tt.locked) + ": permission denied"
				if !errors.Is(err, ErrUnusable) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want one with %q", err, want)
				}
			})
		})
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	content := bytes.Repeat([]byte("crow"), 25_000)
	write(t, filepath.Join(dir, "build-1"), content)
	if err := os.Symlink("build-1", filepath.Join(dir, "latest")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"build-1", "latest"} {
		s, err := Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if s.Size() != int64(len(content)) {
			t.Errorf("%s: size %d", name, s.Size())
		}
		if err := iotest.TestReader(s, content); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Errorf("%s: close: %v", name, err)
		}
		if _, err := s.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: read of a closed source: %v", name, err)
		}
	}
}

// A change must be seen before the reader has all that Size promised.
func TestFileChanges(t *testing.T) {
	content := bytes.Repeat([]byte("x"), 1000)
	tests := []struct {
		name   string
		change func(path string) error
	}{
		{"grows", func(p string) error { return appendTo(p) }},
		{"shrinks", func(p string) error { return os.Truncate(p, 10) }},
		{"shrinks a little", func(p string) error { return os.Truncate(p, 999) }},
		{"is emptied", func(p string) error { return os.Truncate(p, 0) }},
		{"is written to", func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(1e9, 1)) }},
		{"is removed", os.Remove},
		{"is replaced", func(p string) error {
			fi, err := os.Stat(p)
			return errors.Join(err, os.WriteFile(p+"2", content, 0o644), os.Chtimes(p+"2", fi.ModTime(), fi.ModTime()), os.Rename(p+"2", p))
		}},
	}
	for _, tt := range tests {
		for _, after := range []int64{0, 1, 999} {
			t.Run(tt.name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "f")
				write(t, path, content)
				expectChanged(t, path, after, func() error { return tt.change(path) }, path)
			})
		}
	}
}

// expectChanged opens path, reads some of it, lets change happen, and wants
// the rest to be refused with an error that names a path.
func expectChanged(t *testing.T, path string, after int64, change func() error, names string) {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := io.CopyN(io.Discard, s, after); err != nil {
		t.Fatal(err)
	}
	if err := change(); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, io.LimitReader(s, s.Size()-after))
	if !errors.Is(err, ErrChanged) || !strings.HasSuffix(err.Error(), ": "+names) {
		t.Errorf("after %d and %d bytes of %d: error %v, want ErrChanged and %s", after, n, s.Size(), err, names)
	}
	if _, again := s.Read(make([]byte, 1)); again == nil || again.Error() != err.Error() {
		t.Errorf("the error did not stay: %v", again)
	}
}

func appendTo(path string) error {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("more")
	return errors.Join(err, f.Close())
}
