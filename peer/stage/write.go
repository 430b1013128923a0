package stage

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// dir makes a directory or gives an existing one its mode. What the mode takes
// from the owner waits until the directory has been filled.
func (t *tree) dir(name string, mode fs.FileMode) error {
	if name == "." {
		return t.root.Chmod(name, mode|ownerAll)
	}
	in, err := t.enter(path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	info, err := in.Lstat(base)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = t.mkdir(in, base, mode)
	case err == nil && !info.IsDir():
		err = fmt.Errorf("refused: it is a %s already, not a directory", kind(info))
	case err == nil:
		err = in.Chmod(base, mode|ownerAll)
	}
	if err != nil {
		return err
	}
	if mode&ownerAll == ownerAll {
		delete(t.narrow, name)
		return nil
	}
	t.narrow[name] = mode
	return t.remember(name)
}

func (t *tree) remember(name string) error {
	if t.remembered += len(name); t.remembered > maxRemembered {
		return errors.New("refused: archive has too many symlinks and read-only directories")
	}
	return nil
}

// vacate returns the directory for an entry that is none itself, with nothing
// of the entry's name in it: what is there is unlinked, never opened.
func (t *tree) vacate(dir, base string) (*os.Root, error) {
	in, err := t.enter(dir)
	if err != nil {
		return nil, err
	}
	switch info, err := in.Lstat(base); {
	case errors.Is(err, fs.ErrNotExist):
		return in, nil
	case err != nil:
		return nil, err
	case info.IsDir():
		return nil, errors.New("refused: it is a directory already")
	}
	return in, in.Remove(base)
}

func (t *tree) file(dir, base string, h *tar.Header, content io.Reader) error {
	if h.Size > t.limits.Bytes-t.bytes {
		return t.tooLarge()
	}
	if err := t.limits.room(h.Size); err != nil {
		return err
	}
	in, err := t.vacate(dir, base)
	if err != nil {
		return err
	}
	f, err := in.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	t.made++
	err = t.fill(f, content)
	if err == nil {
		err = f.Chmod(fs.FileMode(h.Mode).Perm())
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil || !representable(h.ModTime) {
		return err
	}
	return in.Chtimes(base, h.ModTime, h.ModTime)
}

// fill writes a file's content.
func (t *tree) fill(f *os.File, content io.Reader) error {
	// The bare io.Writer keeps the copy from allocating a buffer per file.
	_, err := io.CopyBuffer(struct{ io.Writer }{f}, &counted{t, content}, t.buf)
	return err
}

// counted counts what is really unpacked, whatever a header said, holes of sparse
// files included. What is beyond a limit it does not give.
type counted struct {
	t *tree
	r io.Reader
}

// Read implements io.Reader.
func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	t := c.t
	if int64(n) > t.limits.Bytes-t.bytes {
		return 0, t.tooLarge()
	}
	if bomb := t.limits.expanded(t.bytes+int64(n), t.source.n); bomb != nil {
		return 0, bomb
	}
	t.bytes += int64(n)
	return n, err
}

func (t *tree) tooLarge() error {
	return fmt.Errorf("refused: the archive's files are larger than %d bytes together", t.limits.Bytes)
}

// representable reports whether the system call for file times can carry tm,
// as nanoseconds in 64 bits.
func representable(tm time.Time) bool {
	return tm.Year() > 1678 && tm.Year() < 2262
}
