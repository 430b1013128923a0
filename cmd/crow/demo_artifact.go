package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// maxSource bounds the copy of crow's own source, in bytes: a checkout may
// have anything lying about.
const maxSource = 256 << 20

var errLargeSource = fmt.Errorf("over %d bytes", maxSource)

// defaultArtifact is what the demo pushes if nothing is named: crow's own
// source if the working directory is in it, copied to dir so that an editor at
// work does not disturb the read; else, or if that is too large, crow's own
// binary.
func defaultArtifact(dir string) (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	if root, ok := crowSource(wd); ok {
		if err = copySource(root, dir); !errors.Is(err, errLargeSource) {
			return dir, err
		}
	}
	return os.Executable()
}

// crowSource finds the root of crow's source at or above dir.
func crowSource(dir string) (string, bool) {
	for {
		mod, err := readBounded(filepath.Join(dir, "go.mod"), maxConfigLen)
		if err == nil && strings.HasPrefix(string(mod), "module crow\n") {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// copySource copies regular files; not git's own, and not what was built.
func copySource(root, dir string) error {
	src := os.DirFS(root)
	var total int64
	return fs.WalkDir(src, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile
		case err != nil:
			return err
		case d.IsDir() && (name == ".git" || name == "bin"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(dir, name), 0o755)
		case !d.Type().IsRegular():
			return nil
		}
		n, err := copyFile(filepath.Join(root, name), filepath.Join(dir, name), maxSource-total)
		total += n
		return err
	})
}

// copyFile copies a file of at most limit bytes; one that was deleted meanwhile
// is none.
func copyFile(from, to string, limit int64) (int64, error) {
	src, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(dst, io.LimitReader(src, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s: %w", from, errLargeSource)
	}
	return n, errors.Join(err, dst.Close())
}

// removeTree removes dir, also where a build that was unpacked in it has
// folders that may not be written to.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return err
	})
	return errors.Join(err, os.RemoveAll(dir))
}
