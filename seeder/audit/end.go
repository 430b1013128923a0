package audit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"

	"crow/internal/release"
)

// entryOf decodes a line; ok is false if it is no entry, such as one that a
// crash cut off.
func entryOf(text []byte) (entry line, ok bool) {
	return entry, text != nil && json.Unmarshal(text, &entry) == nil
}

// findEnd looks for the last line, from which the chain goes on, and for the
// last entry. After a crash they may be in an older file.
func (l *Log) findEnd() error {
	if err := l.endLine(); err != nil {
		return err
	}
	all, err := openFiles(l.path)
	if err != nil {
		return err
	}
	defer all.close()
	l.last, l.whole, l.lost = release.Digest{}, release.Digest{}, true
	var found bool // the last line
	for _, f := range all {
		var digestErr error
		err := backwards(f, f.size, func(at span, text []byte) bool {
			if !found {
				l.last, digestErr = digestOf(f, at)
				found = true
			}
			_, ok := entryOf(text)
			if ok {
				l.whole = sha256.Sum256(text)
			}
			return !ok
		})
		if err := errors.Join(err, digestErr); err != nil {
			return err
		}
		if !l.whole.IsZero() {
			break
		}
	}
	l.lost = false
	return nil
}

// endLine completes a last line that has no end.
func (l *Log) endLine() error {
	fi, err := l.file.Stat()
	if err != nil {
		return err
	}
	if l.size = fi.Size(); l.size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := l.file.ReadAt(last, l.size-1); err != nil {
		return err
	}
	if last[0] != '\n' {
		return l.write([]byte("\n"))
	}
	return nil
}

// digestOf hashes a part of a file.
func digestOf(r io.ReaderAt, at span) (d release.Digest, err error) {
	h := sha256.New()
	_, err = io.Copy(h, io.NewSectionReader(r, at.begin, at.end-at.begin))
	return release.Digest(h.Sum(nil)), err
}
