// Package build turns what a release engineer points at into an artifact: a
// stream of bytes of known size, its digests, its format and its torrent.
//
// It owns reading a file or packing a directory into a deterministic tar
// (Source), and the one pass over the bytes that hashes them (Hasher). It
// stores nothing and sends nothing: those who call it do.
package build

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"crow/internal/release"
)

// ErrUnusable marks every error about a path or content that cannot be an
// artifact: missing, empty, unreadable, too large or of the wrong kind.
var ErrUnusable = errors.New("unusable artifact")

// ErrChanged marks the error of a file or directory that was written to
// between Open and the end of its read. Reading it again may succeed.
var ErrChanged = errors.New("changed while it was read")

// Source is an artifact that is being read. It is safe for concurrent use: an
// HTTP transport may still read a request's body when its caller, who got an
// early answer, already closes it.
type Source struct {
	size int64

	mu     sync.Mutex
	stream io.ReadCloser
	err    error // sticky: what Read returns from now on
}

// Open opens the file or directory at path, following a symbolic link. A
// directory is walked, and each of its files tried, before Open returns; it is
// then read as a tar that depends on nothing but names, modes, links and
// contents; one that no host would unpack, such as for a link that leads out of
// it, is refused. Errors about the path wrap ErrUnusable.
func Open(path string) (*Source, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	switch {
	case fi.IsDir():
		return openDirectory(path)
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("%w %s: it is a %s, want a file or a directory", ErrUnusable, path, kindOf(fi.Mode()))
	}
	return openFile(path)
}

// Size is the number of bytes that Read gives in all.
func (s *Source) Size() int64 { return s.size }

// Read implements io.Reader. It withholds the last bytes of a file that
// changed since Open and returns an error that wraps ErrChanged, so that even
// a reader who stops at Size bytes learns of it.
func (s *Source) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil || len(p) == 0 {
		return 0, s.err
	}
	n, err := s.stream.Read(p)
	s.err = err
	return n, err
}

// Close closes what is open; Read fails from then on.
func (s *Source) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(s.err, fs.ErrClosed) {
		return nil
	}
	s.err = fs.ErrClosed
	return s.stream.Close()
}

func checkSize(path string, size int64) error {
	if size > release.MaxArtifactSize {
		in := release.Apart(size, release.MaxArtifactSize)
		return fmt.Errorf("%w %s: %s, at most %s are allowed", ErrUnusable, path, in(size), release.Size(release.MaxArtifactSize))
	}
	return nil
}

// unusable words a failed system call on path: its cause alone, since the
// call's name and the path relative to some open directory help nobody.
func unusable(path string, err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		err = errno
	}
	return fmt.Errorf("%w %s: %w", ErrUnusable, path, err)
}

// kindOf names a file that is neither regular nor a directory.
func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}
