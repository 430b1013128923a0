package release

import "fmt"

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
