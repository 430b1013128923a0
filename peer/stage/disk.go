package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"crow/internal/release"
	"crow/internal/store"
)

// Estimate is how many bytes of disk staging an artifact of that size may
// take, besides the artifact itself. It is an estimate: real builds stay below
// it, an archive of zeros does not: Limits.Room is for that. What is not unpacked
// is a hard link and takes nothing.
func Estimate(format release.Format, size int64, unpack bool) int64 {
	if !unpack {
		return 0
	}
	return format.Unpacked(size)
}

// Sync returns once all that was written to the file system of dir is on disk.
func Sync(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", dir, store.Explain(err))
	}
	return nil
}

// Remove deletes an unpacked tree, read-only directories in it included, which
// os.RemoveAll leaves when it is not run by root. A tree that is not there is
// no error.
func Remove(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err := openUp(dir); err != nil {
		return fmt.Errorf("remove %s: %w", dir, err)
	}
	return os.RemoveAll(dir)
}

// openUp gives the owner all rights on every directory of a tree. It goes
// through an os.Root, as the release's own programs may have put links there.
func openUp(dir string) error {
	if err := os.Chmod(dir, ownerAll); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return root.Chmod(name, ownerAll) // before it is read
	})
}
