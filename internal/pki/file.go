package pki

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// The modes of files: keys are their owner's alone.
const (
	KeyMode  fs.FileMode = 0o600
	CertMode fs.FileMode = 0o644
)

// Write puts data in a file, in place of what is there: all of it or nothing is
// seen, and once Write returns it stays.
func Write(path string, data []byte, mode fs.FileMode) error {
	return place(path, data, mode, os.Rename)
}

// WriteNew is Write for a file that must not be there yet; if it is, the error is
// fs.ErrExist and it stays as it was.
func WriteNew(path string, data []byte, mode fs.FileMode) error {
	return place(path, data, mode, os.Link) // which, unlike renaming, replaces nothing
}

// place writes a temporary file beside the place and moves it there. The mode is
// that of the owner alone until all is written.
func place(path string, data []byte, mode fs.FileMode, move func(from, to string) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	err = fill(f, data, mode)
	if err == nil {
		err = move(f.Name(), path)
	}
	if removeErr := os.Remove(f.Name()); !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	if err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// fill also syncs: a file system may order the moving before the writing, and
// leave an empty file under a good name.
func fill(f *os.File, data []byte, mode fs.FileMode) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// syncFolder makes the moving durable.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
