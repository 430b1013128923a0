// Package store keeps documents and blobs in a local directory.
//
// A document is a few bytes under a kind and a name; a blob is an artifact
// under its SHA-256. What a call has acknowledged survives a crash of the
// process and of the machine: files are written beside their place, synced,
// renamed into it, and the folder is synced.
//
// The package owns the directory: its layout, its lock, and the clearing of
// what a crash left half-written. It does not look into documents, and it
// believes its caller that a blob has the digest that it is committed under.
// disk.go has what else writes to disk needs too: free space, durable folders,
// the words for a full disk.
//
// The layout, which later versions must be able to read:
//
//	lock                 held while a process has the directory open
//	docs/<kind>/<name>   documents; of the kind damaged those that were set aside
//	blobs/<sha256>       blobs, read-only
//	tmp/                 what is being written; cleared by Open
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Errors that callers branch on.
var (
	// ErrNotFound says that there is no such document or blob.
	ErrNotFound = errors.New("not found")
	// ErrFull says that the file system, or the user's share of it, is full.
	ErrFull = errors.New("disk is full")
	// ErrLocked says that another process has the directory open.
	ErrLocked = errors.New("in use by another process")
)

// Nobody but the daemon's own user has business in the directory: artifacts
// may hold secrets.
const (
	dirMode  = 0o700
	docMode  = 0o600
	blobMode = 0o400
)

// Dir is an open store. Its methods may be used concurrently.
type Dir struct {
	path   string
	lock   *os.File
	kindMu sync.Mutex // held while a kind's folder is made
	// blobMu makes "look whether the blob is there, else rename" one step.
	blobMu sync.Mutex
}

// Open creates the directory if it is not there, locks it and removes what an
// earlier life left half-written. The error is ErrLocked if another process
// has it open.
func Open(dir string, log *zap.Logger) (*Dir, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("open store: %w", Explain(err))
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", dir, Explain(err))
	}
	d := &Dir{path: dir, lock: lock}
	if err := d.prepare(log); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w", dir, Explain(err)), d.Close())
	}
	return d, nil
}

// Close gives the directory up. Uploads that are still open fail from then on
// or are lost; the next Open removes them.
func (d *Dir) Close() error {
	if err := d.lock.Close(); err != nil {
		return fmt.Errorf("close store %s: %w", d.path, err)
	}
	return nil
}

// Free is the space that the store's file system has left for this user, in
// bytes.
func (d *Dir) Free() (int64, error) { return Free(d.path) }

func (d *Dir) docs() string  { return filepath.Join(d.path, "docs") }
func (d *Dir) blobs() string { return filepath.Join(d.path, "blobs") }
func (d *Dir) tmp() string   { return filepath.Join(d.path, "tmp") }

// prepare makes the folders and clears the temporary one. It needs the lock.
func (d *Dir) prepare(log *zap.Logger) error {
	if err := d.makeFolders(); err != nil {
		return err
	}
	// An earlier life may have ended between making an entry and syncing it.
	for _, folder := range append(d.folders(), d.path, filepath.Dir(d.path)) {
		if err := SyncFolder(folder); err != nil {
			return err
		}
	}
	return d.clearTemp(log)
}

func (d *Dir) folders() []string { return []string{d.docs(), d.blobs(), d.tmp()} }

func (d *Dir) makeFolders() error {
	for _, folder := range d.folders() {
		if err := os.MkdirAll(folder, dirMode); err != nil {
			return err
		}
	}
	return nil
}

// Remake makes those of the store's own folders again that were removed under it,
// and returns their paths. The caller knows that the directory itself is still the
// one that was opened: under a mount that is gone nothing of the store's belongs.
func (d *Dir) Remake() (missing []string, err error) {
	for _, folder := range d.folders() {
		if _, err := os.Stat(folder); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, folder)
		}
	}
	if len(missing) == 0 {
		return nil, nil
	}
	if err := errors.Join(d.makeFolders(), SyncFolder(d.path)); err != nil {
		return missing, fmt.Errorf("mend store %s: %w", d.path, Explain(err))
	}
	return missing, nil
}

func (d *Dir) clearTemp(log *zap.Logger) error {
	left, err := os.ReadDir(d.tmp())
	if err != nil {
		return err
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(d.tmp(), e.Name())); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		log.Info("removed unfinished writes of an earlier run", zap.String("dir", d.path), zap.Int("files", len(left)))
	}
	return nil
}

// lockFile takes an flock, which the kernel drops with the process, however
// that ends.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, docMode)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, errors.Join(err, f.Close())
}
