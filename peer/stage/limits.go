package stage

import (
	"fmt"
	"math"

	"crow/internal/release"
)

// Limits bound what one archive may make. A zero limit allows nothing.
type Limits struct {
	Entries int   // of the archive, and directories that it implies
	Bytes   int64 // of all files together, as written, holes of sparse files included
	Depth   int   // components of a name
	NameLen int   // bytes of a name or a link's target
	Ratio   int64 // bytes unpacked for each byte of the artifact, beyond Slack
	Slack   int64 // bytes that may be unpacked out of nothing
	// Room is asked before each file whether there is room for that many bytes,
	// and with 0 before each entry; its error ends the unpacking. Nil: only a
	// full disk does.
	Room func(bytes int64) error
}

// Limits that no real build should meet. They do not know the disk: a caller
// does well to add Room.
const (
	maxEntries = 1_000_000 // ten times the files of a large monorepo; as many inodes
	maxDepth   = 100       // deeper than any package manager nests; bounds the steps that it takes to open a file
	maxNameLen = 2048      // fits into PATH_MAX below a data directory
	// Program code packs to a quarter, text to a thirtieth, in rare cases to a
	// hundredth; a gzip of zeros to a thousandth and a zstd to far less.
	maxRatio = 200
	// Small archives of blank images and fixtures are above any ratio. It is what
	// a host that takes builds at all can spare until the failed one is removed.
	slack = 1 << 30
)

// DefaultLimits bound every build alike, up to the largest artifact that crow
// carries.
func DefaultLimits() Limits {
	return Limits{
		Entries: maxEntries, Bytes: release.MaxArtifactSize, Depth: maxDepth, NameLen: maxNameLen, Ratio: maxRatio, Slack: slack,
	}
}

// expanded checks that n bytes may come out of an artifact of which read bytes
// were read.
func (l Limits) expanded(n, read int64) error {
	over := n - l.Slack
	if over <= 0 || l.Ratio > 0 && over/l.Ratio <= read {
		return nil
	}
	return fmt.Errorf("refused: archive expands more than %d-fold, beyond the %s that any may", l.Ratio, release.Size(l.Slack))
}

func (l Limits) room(bytes int64) error {
	if l.Room == nil {
		return nil
	}
	return l.Room(bytes)
}

// maxComponentLen is NAME_MAX, in bytes: no file system takes more.
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
