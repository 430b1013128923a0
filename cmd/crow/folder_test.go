package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := []string{}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// fill makes a file and a folder.
func fill(dir string) error {
	return errors.Join(os.WriteFile(filepath.Join(dir, "a"), nil, 0o600), os.Mkdir(filepath.Join(dir, "b"), 0o700))
}

func TestMakeFolder(t *testing.T) {
	root := t.TempDir()
	existing := filepath.Join(root, "existing")
	if err := os.Mkdir(existing, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{existing, filepath.Join(root, "new"), filepath.Join(root, "deep", "er")} {
		if err := makeFolder(dir, fill); err != nil {
			t.Fatal(err)
		}
		if got := names(t, dir); len(got) != 2 || got[0] != "a" || got[1] != "b" {
			t.Errorf("%s has %v, want a and b", dir, got)
		}
		if err := makeFolder(dir, fill); diagnose(err).code != exitUsage {
			t.Errorf("%s a second time: %v, want a usage error", dir, err)
		}
	}
	if got := names(t, root); len(got) != 3 {
		t.Errorf("left beside the folders: %v", got)
	}
	info, err := os.Stat(filepath.Join(root, "new"))
	if err != nil || info.Mode().Perm() != folderMode {
		t.Errorf("mode of a new folder: %v, %v, want %v", info.Mode(), err, folderMode)
	}
}

func TestMakeFolderLeavesNothingHalf(t *testing.T) {
	root := t.TempDir()
	existing := filepath.Join(root, "existing")
	if err := os.Mkdir(existing, 0o755); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("disk full")
	for _, dir := range []string{existing, filepath.Join(root, "new")} {
		if err := makeFolder(dir, func(dir string) error { return errors.Join(fill(dir), broken) }); !errors.Is(err, broken) {
			t.Errorf("%s: %v, want %v", dir, err, broken)
		}
	}
	if got := names(t, root); len(got) != 1 || len(names(t, existing)) != 0 {
		t.Errorf("left: %v, %v", got, names(t, existing))
	}
}

// TestMakeFolderGivesWay holds that what someone else put there meanwhile stays,
// and that nothing of ours is left beside it.
func TestMakeFolderGivesWay(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "b")
	err := makeFolder(dir, func(temp string) error {
		return errors.Join(fill(temp), os.WriteFile(theirs, []byte("theirs"), 0o600))
	})
	if err == nil {
		t.Error("it was filled all the same")
	}
	if b, readErr := os.ReadFile(theirs); string(b) != "theirs" || len(names(t, dir)) != 1 {
		t.Errorf("left: %v with %q, %v", names(t, dir), b, readErr)
	}
}

// A draft is swept only when its run is dead.
func TestSweepDead(t *testing.T) {
	root := t.TempDir()
	dead, foreign := filepath.Join(root, ".crow-init-1"), filepath.Join(root, ".crow-init-2")
	for path, mode := range map[string]os.FileMode{dead: folderMode, foreign: 0o755, filepath.Join(root, ".crow-init-a"): folderMode} {
		if err := errors.Join(os.Mkdir(path, mode), fill(path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dead, filepath.Join(root, ".crow-init-3")); err != nil {
		t.Fatal(err)
	}
	err := makeFolder(filepath.Join(root, "new"), func(dir string) error {
		removed, err := sweepDead(root)
		if err != nil || len(removed) != 1 || removed[0] != dead {
			t.Errorf("removed %v, %v", removed, err)
		}
		return fill(dir)
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(t, root); len(got) != 4 {
		t.Errorf("left are %v", got)
	}
}
