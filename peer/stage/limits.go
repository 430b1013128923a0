package stage

import (
	"math"

	"crow/internal/release"
)

// Limits bound what one archive may make. A zero limit allows nothing.
type Limits struct {
	Entries int   // of the archive, and directories that it implies
	Bytes   int64 // of all files together, as written, holes of sparse files included
	Depth   int   // components of a name
	NameLen int   // bytes of a name or a link's target
	// Room is asked before each file whether there is room for that many bytes,
	// and with 0 before each entry; its error ends the unpacking. Nil: only a
	// full disk does.
	Room func(bytes int64) error
}

// DefaultLimits are meant never to be met by a real build: ten times the files
// of a large monorepo, the largest artifact that crow carries, and names that
// still fit into PATH_MAX below a data directory. They do not know the disk: a
// caller does well to add Room.
func DefaultLimits() Limits {
	return Limits{Entries: 1_000_000, Bytes: release.MaxArtifactSize, Depth: 100, NameLen: 2048}
}

func (l Limits) room(bytes int64) error {
	if l.Room == nil {
		return nil
	}
	return l.Room(bytes)
}

// maxComponentLen is NAME_MAX, in bytes.
const maxComponentLen = 255

// maxRemembered bounds the names, in bytes, that are kept in memory until the
// end: symlinks and directories that their owner may not write. A third of a
// million links of usual length fit.
const maxRemembered = 32 << 20

// What a tar stream may have besides the bytes of its files, in bytes: headers
// with extended names for each entry, and the padding behind the end.
const (
	maxEntryOverhead = 8 << 10
	maxEndPadding    = 1 << 20
)

// streamLen is the longest tar stream that an archive within the limits has. It
// ends archives whose bulk is in what never reaches the disk.
func (l Limits) streamLen() int64 {
	overhead := int64(l.Entries)*maxEntryOverhead + maxEndPadding
	if l.Bytes > math.MaxInt64-overhead {
		return math.MaxInt64
	}
	return l.Bytes + overhead
}
