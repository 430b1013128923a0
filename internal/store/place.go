package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// newTemp opens a file that a crash leaves for the next Open to remove.
func (d *Dir) newTemp(pattern string) (*os.File, error) {
	return os.CreateTemp(d.tmp(), pattern)
}

// place makes the temporary file f durable under path, replacing what is
// there: all of it or nothing is seen, and once place returns nil it stays. It
// closes f in any case, and removes it if it fails before the rename.
func place(f *os.File, path string, mode fs.FileMode) error {
	if err := finish(f, mode); err != nil {
		return errors.Join(err, RemoveIfThere(f.Name()))
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return errors.Join(err, RemoveIfThere(f.Name()))
	}
	return SyncFolder(filepath.Dir(path))
}

// finish syncs and closes f. The sync comes before the rename, since a file
// system may order them as it likes and leave an empty file under a good name.
func finish(f *os.File, mode fs.FileMode) error {
	err := f.Chmod(mode)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// remove deletes a file for good; one that is not there, or whose folder was
// never made, is no error.
func remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, SyncFolder(filepath.Dir(path)))
}

// absent puts ErrNotFound before the system's own words. Only reading answers
// it: a write that misses a folder has another trouble.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}
