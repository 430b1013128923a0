package main

import (
	"fmt"
	"path/filepath"
	"testing"
)

// table makes a folder as the kernel's, with the three limits.
func table(t *testing.T, limits ...int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for i, n := range limits {
		set(t, dir, i+1, n)
	}
	return dir
}

func set(t *testing.T, dir string, i, n int) {
	t.Helper()
	if err := writeNumber(filepath.Join(dir, fmt.Sprintf("gc_thresh%d", i)), n); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, dir string, limits ...int) {
	t.Helper()
	for i, n := range limits {
		got, err := readNumber(filepath.Join(dir, fmt.Sprintf("gc_thresh%d", i+1)))
		if err != nil || got != n {
			t.Errorf("gc_thresh%d is %d, %v; want %d", i+1, got, err, n)
		}
	}
}

func TestRaiseNeighbours(t *testing.T) {
	dir := table(t, 128, 512, 1024)
	restore, err := raiseNeighbours(dir, 49)
	if err != nil {
		t.Fatal(err)
	}
	want(t, dir, 2401, 4802, 9604)
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	want(t, dir, 128, 512, 1024)
}

func TestNeighboursAreOnlyRaised(t *testing.T) {
	dir := table(t, 16384, 65536, 131072)
	restore, err := raiseNeighbours(dir, 49)
	want(t, dir, 16384, 65536, 131072)
	if err != nil || restore() != nil {
		t.Error(err)
	}
	want(t, dir, 16384, 65536, 131072)
}

// What someone else has set meanwhile is theirs.
func TestNeighboursOfOthersStay(t *testing.T) {
	dir := table(t, 128, 512, 1024)
	restore, err := raiseNeighbours(dir, 49)
	set(t, dir, 2, 65536)
	if err != nil || restore() != nil {
		t.Error(err)
	}
	want(t, dir, 128, 65536, 1024)
}

func TestNoNeighbourTable(t *testing.T) {
	restore, err := raiseNeighbours(filepath.Join(t.TempDir(), "none"), 49)
	if err != nil || restore() != nil {
		t.Error(err)
	}
}
