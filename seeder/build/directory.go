package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxEntries bounds what is packed of a directory: each entry is held in
// memory, at some 200 bytes, until the tar is complete.
const maxEntries = 1_000_000

// packTime stands in for every entry's time of change, so that the same build
// gives the same tar. Zip knows nothing older than 1980, and tar warns of
// 1970 as implausible.
var packTime = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)

// tarBlock is the unit of a tar, in bytes: headers and contents are padded to
// it, and two blocks of zeros end it.
const (
	tarBlock   = 512
	tarTrailer = 2 * tarBlock
)

// entry is one file, directory or symbolic link that is packed.
type entry struct {
	name string // relative to the directory, with slashes; "." is the directory itself
	kind byte   // tar.TypeReg, tar.TypeDir or tar.TypeSymlink
	mode int64  // permissions, set-user-id, set-group-id and sticky bits
	link string // target of a symbolic link
	facts
}

// header is the entry's header in a tar, with the extended header in front of
// it that a long or foreign name or a size above 8 GiB needs. It names no owner.
func (e entry) header() ([]byte, error) {
	h := tar.Header{Typeflag: e.kind, Name: e.name, Linkname: e.link, Mode: e.mode, ModTime: packTime}
	switch e.kind {
	case tar.TypeReg:
		h.Size = e.size
	case tar.TypeDir:
		h.Name += "/"
	}
	var b bytes.Buffer
	err := tar.NewWriter(&b).WriteHeader(&h)
	return b.Bytes(), err
}

// padding is the number of zeros behind the entry's content.
func (e entry) padding() int64 {
	if e.kind != tar.TypeReg {
		return 0
	}
	return -e.size & (tarBlock - 1)
}

// walker lists a directory. It opens each file once, so that one that may not
// be read is found before the first byte is sent.
type walker struct {
	root    *os.Root
	path    string // of root, for errors
	entries []entry
}

// list adds what is in the directory called name, in the order of names; a
// directory comes before what it holds.
func (w *walker) list(name string) error {
	d, err := w.root.Open(name)
	if err != nil {
		return unusable(w.full(name), err)
	}
	children, err := d.ReadDir(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return unusable(w.full(name), err)
	}
	slices.SortFunc(children, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, child := range children {
		if err := w.add(path.Join(name, child.Name())); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) add(name string) error {
	fi, err := w.root.Lstat(name)
	if err != nil {
		return unusable(w.full(name), err)
	}
	e := entry{name: name, facts: factsOf(fi)}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		e.mode = int64(st.Mode & 0o7777)
	}
	switch m := fi.Mode(); {
	case m.IsRegular():
		e.kind, err = tar.TypeReg, w.try(e)
	case m.IsDir():
		e.kind = tar.TypeDir
	case m&fs.ModeSymlink != 0:
		e.kind = tar.TypeSymlink
		e.link, err = w.root.Readlink(name)
	default:
		return fmt.Errorf("%w %s: %s is a %s, want only files, directories and symbolic links",
			ErrUnusable, w.path, name, kindOf(m))
	}
	if err != nil {
		return unusable(w.full(name), err)
	}
	if why := refusal(e); why != "" {
		return w.refuse(e, why)
	}
	if w.entries = append(w.entries, e); len(w.entries) > maxEntries {
		return fmt.Errorf("%w %s: over %d entries", ErrUnusable, w.path, maxEntries)
	}
	if e.kind == tar.TypeDir && name != "." {
		return w.list(name)
	}
	return nil
}

// try opens a file and closes it.
func (w *walker) try(e entry) error {
	f, err := w.root.OpenFile(e.name, openFlags, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

func (w *walker) full(name string) string { return filepath.Join(w.path, name) }
