package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"
)

// A draft is the folder in which crow init works, beside the one that it makes: a
// CA's key is in it. Its run holds a lock on it, which the kernel drops with the
// process, however that ends; so a draft without one is of a dead run.
const draftPattern = ".crow-init-*"

// draftName is what os.MkdirTemp makes of draftPattern.
var draftName = regexp.MustCompile(`^\.crow-init-[0-9]+$`)

// draftTries is how often a draft is made anew because another run took it for a
// dead one's, in the instant before it was locked.
const draftTries = 5

// newDraft makes a draft, with folderMode, and locks it until release.
func newDraft(beside string) (path string, release func() error, err error) {
	for range draftTries {
		if path, err = os.MkdirTemp(beside, draftPattern); err != nil {
			return "", nil, err
		}
		var dir *os.File
		dir, err = lockDraft(path)
		switch {
		case err == nil:
			return path, dir.Close, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, fs.ErrNotExist):
			// A file system without locks: nobody can take it for a dead one's.
			return path, func() error { return nil }, nil
		}
	}
	return "", nil, fmt.Errorf("lock %s: %w", path, err)
}

// lockDraft opens and locks a draft. The error is unix.EWOULDBLOCK if its run lives,
// and fs.ErrNotExist if it was removed meanwhile.
func lockDraft(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		_, err = os.Lstat(path)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// sweepDead removes the drafts that runs of this user left in a folder when they were
// killed, and returns their paths.
func sweepDead(folder string) (removed []string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, nil // who makes something there says what is wrong
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if !draftName.MatchString(e.Name()) || !isOwnFolder(e) {
			continue
		}
		dir, lockErr := lockDraft(path)
		if lockErr != nil {
			continue // its run lives, or it has just ended
		}
		err = errors.Join(err, os.RemoveAll(path), dir.Close())
		removed = append(removed, path)
	}
	return removed, err
}

// isOwnFolder reports whether an entry is a folder of this user's that is for nobody
// else, as drafts are.
func isOwnFolder(e fs.DirEntry) bool {
	info, err := e.Info()
	if err != nil || !info.IsDir() || info.Mode().Perm() != folderMode {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}
