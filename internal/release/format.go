package release

import (
	"fmt"
	"math"
)

// Format says what an artifact is, and so how a host may unpack it.
type Format uint8

// The formats. FormatFile is anything that crow does not unpack.
const (
	FormatFile Format = iota
	FormatTar
	FormatTarGzip
	FormatTarZstd
)

var formatNames = [...]string{"file", "tar", "tar.gz", "tar.zst"}

// String is the format's name in manifests.
func (f Format) String() string {
	if int(f) < len(formatNames) {
		return formatNames[f]
	}
	return fmt.Sprintf("format(%d)", uint8(f))
}

// IsArchive reports whether a host can unpack the format.
func (f Format) IsArchive() bool { return f != FormatFile }

// Expansion of artifacts on disk, in percent of their size. A tar of build
// output, with files of 16 KiB and more on average, grows by under a quarter
// when its files take whole blocks. Program code and libraries shrink to a
// third or quarter in gzip and zstd; Go's source tree, small files as they are,
// to under a quarter.
const (
	expansionTar        = 125
	expansionCompressed = 500
)

// Unpacked is how many bytes of disk an artifact of size bytes may take when it is
// unpacked, besides itself. It is an estimate: real builds stay below it. What is no
// archive takes nothing.
func (f Format) Unpacked(size int64) int64 {
	percent := int64(expansionCompressed)
	switch {
	case !f.IsArchive() || size <= 0:
		return 0
	case f == FormatTar:
		percent = expansionTar
	}
	if size > math.MaxInt64/percent {
		return math.MaxInt64
	}
	return size * percent / 100
}

// MarshalText implements encoding.TextMarshaler.
func (f Format) MarshalText() ([]byte, error) { return marshalName(formatNames[:], uint8(f), "format") }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *Format) UnmarshalText(b []byte) error {
	i, err := unmarshalName(formatNames[:], b, "format")
	*f = Format(i)
	return err
}

// marshalName and unmarshalName give the enumerations of this package their
// names in documents; a name that is not in the table is an error.
func marshalName(names []string, i uint8, what string) ([]byte, error) {
	if int(i) >= len(names) {
		return nil, fmt.Errorf("%w %s %d", ErrInvalid, what, i)
	}
	return []byte(names[i]), nil
}

func unmarshalName(names []string, b []byte, what string) (uint8, error) {
	for i, name := range names {
		if name == string(b) {
			return uint8(i), nil
		}
	}
	return 0, fmt.Errorf("%w %s %.80q", ErrInvalid, what, b)
}
