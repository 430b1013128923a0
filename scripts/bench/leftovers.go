package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// folderPrefix begins the name of each bench's folder in --work.
const folderPrefix = "crowbench-"

// workFolder makes bench's folder and locks it: the kernel lets go of the lock
// when bench ends, however it does.
func workFolder(work string) (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp(work, folderPrefix); err != nil {
		return "", nil, err
	}
	if lock, err = lockFolder(dir); err != nil {
		return "", nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), os.RemoveAll(dir))
	}
	return dir, lock, nil
}

// lockFolder locks a folder; it fails if someone else has.
func lockFolder(dir string) (*os.File, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// clearLeft removes what benches left that were killed: their namespaces, which
// would stay until the machine restarts, and their files. It returns what it
// removed, for people.
func clearLeft(ctx context.Context, namespaces []string, work string) (removed []string, err error) {
	var errs []error
	for _, name := range namespaces {
		_, err := command(ctx, "ip", "netns", "del", name)
		errs = append(errs, err)
	}
	if n := len(namespaces); n > 0 {
		removed = append(removed, fmt.Sprintf("%d network namespaces", n))
	}
	folders, err := filepath.Glob(filepath.Join(work, folderPrefix+"*"))
	errs = append(errs, err)
	for _, dir := range folders {
		lock, err := lockFolder(dir)
		if err != nil {
			continue // it is at work, or no bench's
		}
		removed = append(removed, dir)
		errs = append(errs, os.RemoveAll(dir), lock.Close())
	}
	return removed, errors.Join(errs...)
}

// tidy clears what was left, and tells. Namespaces are root's; files are also those of
// a --scale, which needs none.
func (i inspection) tidy(ctx context.Context, work string, errs io.Writer) {
	namespaces := i.leftBehind
	if !i.root || !i.ip {
		namespaces = nil
	}
	removed, err := clearLeft(ctx, namespaces, work)
	if len(removed) > 0 {
		fmt.Fprintf(errs, "bench: removed what a bench left that was killed: %s\n", strings.Join(removed, ", "))
	}
	if err != nil {
		fmt.Fprintf(errs, "bench: not all that a killed bench left could be removed: %s\n", oneLine(err))
	}
}
