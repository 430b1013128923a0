package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// neighbourTable is where the kernel's limits of its neighbour table are set.
const neighbourTable = "/proc/sys/net/ipv4/neigh/default"

// raiseNeighbours makes room in the kernel's neighbour table, which is one for
// all namespaces: n hosts that all talk need n*n entries, and beyond the limits
// they lose each other silently. It only ever raises; the returned function puts
// back what it raised, where nobody else has set it since.
func raiseNeighbours(dir string, n int) (restore func() error, err error) {
	var undo []func() error
	restore = func() error {
		var errs []error
		for _, f := range undo {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}
	// thresh1 is kept always, thresh2 for seconds, thresh3 is never passed. The
	// highest first, so that they are in order at any time.
	for i, factor := range []int{4, 2, 1} {
		path := filepath.Join(dir, fmt.Sprintf("gc_thresh%d", 3-i))
		old, err := readNumber(path)
		if errors.Is(err, os.ErrNotExist) {
			return restore, nil // a container, which the host's limits hold for
		}
		want := n * n * factor
		if err != nil || old >= want {
			continue
		}
		if err := writeNumber(path, want); err != nil {
			return restore, fmt.Errorf("raise the neighbour table's limit for %d hosts: %w", n, err)
		}
		undo = append(undo, func() error { return putBack(path, want, old) })
	}
	return restore, nil
}

func putBack(path string, ours, old int) error {
	if now, err := readNumber(path); err != nil || now != ours {
		return err
	}
	return writeNumber(path, old)
}

func readNumber(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimSpace(string(b)))
}

func writeNumber(path string, n int) error {
	return os.WriteFile(path, []byte(strconv.Itoa(n)), 0o644)
}
