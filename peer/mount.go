package peer

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// spot is a file, and the mount that it is found through: a folder that is bound to
// another place of the same file system comes and goes as a disk does.
type spot struct {
	inode
	mount uint64 // 0: the kernel does not tell
}

// identify is what a path leads to.
func identify(path string) (spot, error) {
	info, err := os.Stat(path)
	if err != nil {
		return spot{}, err
	}
	st := info.Sys().(*syscall.Stat_t)
	return spot{inode{st.Dev, st.Ino}, mountOf(path)}, nil
}

// mountOf is the id of the mount that a path is on. The kernel tells it from 5.8 on,
// and from 6.8 on one that no later mount gets; a sandbox may forbid the question.
func mountOf(path string) uint64 {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_SYNC_AS_STAT, unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE, &st)
	if err != nil || st.Mask&(unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE) == 0 {
		return 0
	}
	return st.Mnt_id
}

// spotOf is a path's, or that of the nearest folder above it that is there.
func spotOf(path string) spot {
	for {
		if s, err := identify(path); err == nil || path == filepath.Dir(path) {
			return s
		}
		path = filepath.Dir(path)
	}
}

// isMountedAs reports whether both are on one file system, through one mount.
func (s spot) isMountedAs(other spot) bool {
	return s.dev == other.dev && (s.mount == other.mount || s.mount == 0 || other.mount == 0)
}
