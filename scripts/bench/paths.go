package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// checkPaths makes sure that what is written at the end can be: some runs take
// hours.
func (o options) checkPaths() error {
	if err := writable(o.json); err != nil {
		return fmt.Errorf("--json: %w", err)
	}
	if o.logs == "" {
		return nil
	}
	err := os.MkdirAll(o.logs, 0o755)
	if err == nil {
		var probe string
		if probe, err = os.MkdirTemp(o.logs, "bench-"); err == nil {
			err = os.Remove(probe)
		}
	}
	if err != nil {
		return fmt.Errorf("--logs: %w", err)
	}
	return nil
}

// writable reports why a file could not be written; an empty path is no file.
// What is there stays, and nothing new is left.
func writable(path string) error {
	if path == "" {
		return nil
	}
	_, err := os.Stat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	err = f.Close()
	if fresh {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
