package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
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

// checkFiles makes sure that a process may hold as many connections as a --scale
// needs: each host has one for its poll and one for its reports, and for a moment
// one more.
func (o options) checkFiles() error {
	const besides = 200 // a daemon's own
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil || o.fleetSize == 0 {
		return err
	}
	if want := uint64(3*o.fleetSize + besides); limit.Max < want {
		return fmt.Errorf("--scale %d: a process needs %d open files, its limit is %d: ulimit -Hn %d", o.fleetSize, want, limit.Max, want)
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
