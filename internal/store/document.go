package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxDocLen bounds a document, in bytes. The largest ones are the result of a
// deploy to 10,000 hosts and the torrent of a 1 TiB artifact (4 MiB).
const MaxDocLen = 64 << 20

// Limits of names, in bytes. APP@VERSION fits into a name with room to spare,
// and every file system takes it.
const (
	maxKindLen = 32
	maxNameLen = 224
)

// PutDoc stores a document of at most MaxDocLen bytes, in place of one of the
// same kind and name. Once it returns nil the document stays; after an error
// it is either the old or the new one. Kinds and names are letters, digits and
// . _ - + ~ @, a letter or digit first.
func (d *Dir) PutDoc(kind, name string, b []byte) error {
	path, err := d.docPath(kind, name)
	if err != nil {
		return err
	}
	if len(b) > MaxDocLen {
		return fmt.Errorf("store %s %s: %d bytes, at most %d are allowed", kind, name, len(b), MaxDocLen)
	}
	if err := d.putDoc(path, b); err != nil {
		return fmt.Errorf("store %s %s: %w", kind, name, Explain(err))
	}
	return nil
}

func (d *Dir) putDoc(path string, b []byte) error {
	if err := d.makeKind(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := d.newTemp("doc-*")
	if err != nil {
		return err
	}
	if _, err := f.Write(b); err != nil {
		return errors.Join(err, f.Close(), RemoveIfThere(f.Name()))
	}
	return place(f, path, docMode)
}

// makeKind makes a kind's folder durable before anything is put into it. The
// lock keeps a second caller from going on with a folder that is not yet so.
func (d *Dir) makeKind(folder string) error {
	d.kindMu.Lock()
	defer d.kindMu.Unlock()
	if _, err := os.Stat(folder); err == nil {
		return nil
	}
	// Only the last folder: where the rest is gone, as from under a mount, nothing
	// of the store's belongs.
	if err := os.Mkdir(folder, dirMode); err != nil {
		return err
	}
	return SyncFolder(d.docs())
}

// GetDoc reads a document. The error is ErrNotFound if there is none.
func (d *Dir) GetDoc(kind, name string) ([]byte, error) {
	path, err := d.docPath(kind, name)
	if err != nil {
		return nil, err
	}
	b, err := readDoc(path)
	if err != nil {
		return nil, fmt.Errorf("read %s %s: %w", kind, name, absent(err))
	}
	return b, nil
}

func readDoc(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, MaxDocLen+1))
	if err == nil && len(b) > MaxDocLen {
		err = fmt.Errorf("more than %d bytes: crow did not write this", MaxDocLen)
	}
	return b, errors.Join(err, f.Close())
}

// ListDocs returns the names of a kind's documents, sorted. A kind that never
// had any has none. Files that crow would not have written are left out.
func (d *Dir) ListDocs(kind string) ([]string, error) {
	if err := checkName("kind", kind, maxKindLen); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(d.docs(), kind))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind, err)
	}
	var names []string
	for _, e := range entries {
		if e.Type().IsRegular() && checkName("name", e.Name(), maxNameLen) == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// DeleteDoc removes a document for good. One that is not there is no error.
func (d *Dir) DeleteDoc(kind, name string) error {
	path, err := d.docPath(kind, name)
	if err != nil {
		return err
	}
	if err := remove(path); err != nil {
		return fmt.Errorf("delete %s %s: %w", kind, name, Explain(err))
	}
	return nil
}

// asideKind is the folder of documents that nobody could read. It holds one of each
// kind and name: there is no end to what damages a disk.
const asideKind = "damaged"

// SetAside takes a document out of its kind, for people to look at, and returns where
// it is now. An earlier one of the same kind and name makes room.
func (d *Dir) SetAside(kind, name string) (path string, err error) {
	from, err := d.docPath(kind, name)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(d.docs(), asideKind)
	path = filepath.Join(folder, kind+"."+name)
	err = d.makeKind(folder)
	if err == nil {
		err = os.Rename(from, path)
	}
	if err == nil {
		err = errors.Join(SyncFolder(folder), SyncFolder(filepath.Dir(from)))
	}
	if err != nil {
		return "", fmt.Errorf("set aside %s %s: %w", kind, name, Explain(err))
	}
	return path, nil
}

// DocPath is where a document is, for people who have to look at it.
func (d *Dir) DocPath(kind, name string) string { return filepath.Join(d.docs(), kind, name) }

func (d *Dir) docPath(kind, name string) (string, error) {
	if err := checkName("kind", kind, maxKindLen); err != nil {
		return "", err
	}
	if err := checkName("name", name, maxNameLen); err != nil {
		return "", err
	}
	return filepath.Join(d.docs(), kind, name), nil
}

// checkName holds names to what is one plain file name everywhere: no
// separator, nothing hidden, no dot folder.
func checkName(what, s string, limit int) error {
	if s == "" || len(s) > limit {
		return fmt.Errorf("document %s %.40q: %d bytes, want 1 to %d", what, s, len(s), limit)
	}
	for i := range len(s) {
		if c := s[i]; !isAlphanumeric(c) && (i == 0 || !strings.ContainsRune("._-+~@", rune(c))) {
			return fmt.Errorf("document %s %q: only letters, digits and . _ - + ~ @ are allowed, a letter or digit first", what, s)
		}
	}
	return nil
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
