package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// facts are what tells that a file is still the one that was found, with the
// content that it had: they differ if it was written to or replaced.
type facts struct {
	dev, ino uint64
	size     int64 // bytes
	mtime    int64 // nanoseconds since 1970
}

func factsOf(fi fs.FileInfo) facts {
	f := facts{size: fi.Size(), mtime: fi.ModTime().UnixNano()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		f.dev, f.ino = uint64(st.Dev), st.Ino
	}
	return f
}

// openFlags keep an open from waiting for a writer if a named pipe has taken
// the place of a file; they mean nothing for the file itself.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

// guardedFile reads a regular file of which the facts are known and fails if
// they are no longer true when its last bytes are due.
type guardedFile struct {
	file *os.File
	path string // for errors
	want facts
	left int64 // bytes
}

// guard takes over f, which must meet the facts.
func guard(f *os.File, path string, want facts) (*guardedFile, error) {
	g := &guardedFile{file: f, path: path, want: want, left: want.size}
	if err := g.verify(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return g, nil
}

// Read implements io.Reader.
func (g *guardedFile) Read(p []byte) (int, error) {
	if g.left == 0 {
		return 0, io.EOF
	}
	n, err := g.file.Read(p[:min(int64(len(p)), g.left)])
	if errors.Is(err, io.EOF) {
		return 0, changed(g.path) // it shrank
	}
	if err != nil {
		return 0, fmt.Errorf("read artifact: %w", err)
	}
	if g.left -= int64(n); g.left == 0 {
		err = g.verify()
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

func (g *guardedFile) verify() error {
	fi, err := g.file.Stat()
	if err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	if factsOf(fi) != g.want {
		return changed(g.path)
	}
	return nil
}

// Close closes the file.
func (g *guardedFile) Close() error { return g.file.Close() }

func changed(path string) error { return fmt.Errorf("%w: %s", ErrChanged, path) }

// lastFile is a guardedFile that is an artifact by itself: no directory around
// it tells that another file has taken its place.
type lastFile struct{ *guardedFile }

// Read implements io.Reader.
func (l lastFile) Read(p []byte) (int, error) {
	n, err := l.guardedFile.Read(p)
	if err != nil || l.left > 0 {
		return n, err
	}
	fi, err := os.Stat(l.path)
	if err != nil || factsOf(fi) != l.want {
		return 0, changed(l.path)
	}
	return n, nil
}

func openFile(path string) (*Source, error) {
	f, err := os.OpenFile(path, openFlags, 0)
	if err != nil {
		return nil, unusable(path, err)
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, errors.Join(unusable(path, err), f.Close())
	}
	if err := checkFile(path, fi); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	g, err := guard(f, path, factsOf(fi))
	if err != nil {
		return nil, err
	}
	return &Source{size: fi.Size(), stream: lastFile{g}}, nil
}

// checkFile looks at the file that was opened, which need not be the one that
// Open looked at.
func checkFile(path string, fi fs.FileInfo) error {
	switch {
	case !fi.Mode().IsRegular():
		return changed(path)
	case fi.Size() == 0:
		return fmt.Errorf("%w %s: it is empty", ErrUnusable, path)
	}
	return checkSize(path, fi.Size())
}
