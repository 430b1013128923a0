package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"crow/internal/store"
)

// makeFolder has fill make the content of a folder that is new or empty, in
// another one, and puts it there once it is complete. If something fails, nothing
// is left; after a kill, the next run clears it away, see sweepDead.
func makeFolder(dir string, fill func(dir string) error) (err error) {
	exists, err := isEmpty(dir)
	if err != nil {
		return err
	}
	beside := filepath.Dir(dir)
	if exists {
		// It stays, since it may be a mount or someone's working directory.
		beside = dir
	}
	if err := os.MkdirAll(beside, folderMode); err != nil {
		return err
	}
	temp, release, err := newDraft(beside)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp), release()) }()
	if err := fill(temp); err != nil {
		return err
	}
	if !exists {
		err = os.Rename(temp, dir)
	} else {
		err = moveInto(dir, temp)
	}
	return errors.Join(err, store.SyncFolder(beside))
}

// moveInto moves what is in from to dir; if it cannot move all of it, nothing.
func moveInto(dir, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for i, e := range entries {
		to := filepath.Join(dir, e.Name())
		err := refuseExisting("", outFile{path: to})
		if err == nil {
			err = os.Rename(filepath.Join(from, e.Name()), to)
		}
		if err == nil {
			continue
		}
		for _, moved := range entries[:i] {
			err = errors.Join(err, os.Rename(filepath.Join(dir, moved.Name()), filepath.Join(from, moved.Name())))
		}
		return fmt.Errorf("fill %s: %w", dir, err)
	}
	return nil
}
