package build

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func TestDirectoryChanges(t *testing.T) {
	tests := []struct {
		name   string
		names  string // the path in the error
		change func(dir string) error
	}{
		{"file grows", "m/f", func(d string) error { return appendTo(d + "/m/f") }},
		{"file shrinks", "m/f", func(d string) error { return os.Truncate(d+"/m/f", 3) }},
		{"file is written to", "m/f", func(d string) error { return os.Chtimes(d+"/m/f", time.Time{}, time.Unix(1e9, 1)) }},
		{"empty file grows", "m/none", func(d string) error { return appendTo(d + "/m/none") }},
		{"file is removed", "m/f", func(d string) error { return os.Remove(d + "/m/f") }},
		{"file becomes a pipe", "m/f", func(d string) error { return errors.Join(os.Remove(d+"/m/f"), syscall.Mkfifo(d+"/m/f", 0o644)) }},
		{"file becomes a link", "m/f", func(d string) error { return errors.Join(os.Remove(d+"/m/f"), os.Symlink("none", d+"/m/f")) }},
		{"file comes", "m", func(d string) error { return os.WriteFile(d+"/m/new", nil, 0o644) }},
		{"file comes on top", "", func(d string) error { return os.WriteFile(d+"/new", nil, 0o644) }},
		{"link is replaced", "", func(d string) error { return errors.Join(os.Symlink("b", d+"/l2"), os.Rename(d+"/l2", d+"/l")) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			mkdir(t, filepath.Join(dir, "m"))
			write(t, filepath.Join(dir, "a"), bytes.Repeat([]byte("a"), 5000))
			write(t, filepath.Join(dir, "m/f"), bytes.Repeat([]byte("f"), 5000))
			write(t, filepath.Join(dir, "m/none"), nil)
			if err := os.Symlink("a", filepath.Join(dir, "l")); err != nil {
				t.Fatal(err)
			}
			age(t, dir)
			expectChanged(t, dir, 100, func() error { return tt.change(dir) }, filepath.Join(dir, tt.names))
		})
	}
}

// age makes a tree an hour old: a change within one tick of the file system's
// clock would not show.
func age(t *testing.T, dir string) {
	t.Helper()
	then := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Type() == fs.ModeSymlink {
			return err
		}
		return os.Chtimes(path, then, then)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A change while a file is half read is seen at its end, and no file stays open.
func TestDirectoryChangesMidFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "f"), bytes.Repeat([]byte("f"), 100_000))
	age(t, dir)
	expectChanged(t, dir, 50_000, func() error { return appendTo(dir + "/f") }, filepath.Join(dir, "f"))
}
