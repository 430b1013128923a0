package peer

import (
	"cmp"
	"io/fs"
	"path/filepath"
	"slices"
	"syscall"

	"crow/peer/admin"
)

// freed adds up what the removal of several paths frees: a file with several
// links is freed with the last of them.
type freed map[inode]uint64 // links that go

// add is what the removal of path, after those before, frees of disk, in bytes.
// What cannot be looked at does not count.
func (f freed) add(path string) int64 {
	total := int64(0)
	err := filepath.WalkDir(path, func(_ string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		info, err := e.Info()
		if err != nil {
			return nil
		}
		st := info.Sys().(*syscall.Stat_t)
		if !info.IsDir() && st.Nlink > 1 {
			id := inode{st.Dev, st.Ino}
			if f[id]++; f[id] < uint64(st.Nlink) {
				return nil
			}
		}
		total = sum(total, st.Blocks*blockSize)
		return nil
	})
	if err != nil { // cannot be: the function gives none
		return 0
	}
	return total
}

// byKind has releases before leftovers before artifacts, each by name.
func byKind(a, b admin.Item) int {
	order := []admin.Kind{admin.Release, admin.Leftover, admin.Artifact}
	return cmp.Or(slices.Index(order, a.Kind)-slices.Index(order, b.Kind), cmp.Compare(a.Name, b.Name))
}
