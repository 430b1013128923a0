// Package audit is the seeder's memory of who did what: an append-only log of
// JSON lines, each with the SHA-256 of the line before it, so that a line that
// was changed, taken out or moved shows.
//
// It owns the files, their chain, and how many failed calls of one caller are
// worth a line. What else is worth one is the seeder's to say.
package audit

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// Bounds of the log. A line is a few hundred bytes: the files together hold
// some hundred thousand of them.
const (
	maxFile  = 16 << 20 // bytes, until a new file begins
	maxFiles = 8        // the oldest goes when there are more
	maxLine  = 16 << 10 // bytes
)

// maxReaders bounds who reads at once: each has all files open.
const maxReaders = 4

// Log is an open log. It is safe for concurrent use.
type Log struct {
	path    string        // of the newest file; older ones have .1, .2 and so on behind it
	readers chan struct{} // as many as read

	mu      sync.Mutex
	file    *os.File
	size    int64
	last    release.Digest // of the last line, without its end
	whole   release.Digest // of the last line that is an entry; another one only behind a torn line
	lost    bool           // what a failed write left could not be undone: last and whole are to be looked for
	callers callers        // whose calls failed
}

// line is an entry as it is written.
type line struct {
	control.HistoryEntry
	Previous release.Digest `json:"previous"` // SHA-256 of the line before; zero: the first
	// Whole is the SHA-256 of the last entry where the line before is a torn one,
	// which carries the chain no further: it has no Previous. Zero elsewhere.
	Whole release.Digest `json:"whole,omitzero"`
}

// Open opens or begins the log at path. A last line that a crash cut off is
// completed by an end, and stays as it is: nothing is ever taken out.
func Open(path string) (*Log, error) {
	path = filepath.Clean(path)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	l := &Log{path: path, file: f, readers: make(chan struct{}, maxReaders), callers: callers{}}
	if err := errors.Join(store.SyncFolder(filepath.Dir(path)), l.findEnd()); err != nil {
		return nil, errors.Join(fmt.Errorf("read audit log: %w", err), f.Close())
	}
	return l, nil
}

// Append adds an entry and syncs it to the disk. Its time is set if it has none.
// It tells how many failed calls of the same caller were left out before it.
func (l *Log) Append(e control.HistoryEntry) error {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.appendOf(l.callers[callerOf(e)], stamped(e, now)), l.settle(now))
}

// stamped is the entry with a time, as the log keeps it.
func stamped(e control.HistoryEntry, now time.Time) control.HistoryEntry {
	if e.Time.IsZero() {
		e.Time = now
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	return e
}

// append writes one entry. It needs the lock.
func (l *Log) append(e control.HistoryEntry) error {
	if err := l.appendLine(e); err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	return nil
}

func (l *Log) appendLine(e control.HistoryEntry) error {
	if l.lost {
		if err := l.findEnd(); err != nil {
			return err
		}
	}
	next := line{HistoryEntry: e, Previous: l.last}
	if l.whole != l.last {
		next.Whole = l.whole
	}
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if len(b) > maxLine {
		return fmt.Errorf("an entry of %d bytes, at most %d are allowed", len(b), maxLine)
	}
	if err := l.rotate(); err != nil {
		return err
	}
	if err := l.write(append(b, '\n')); err != nil {
		return err
	}
	l.last = sha256.Sum256(b) // the line is there, even if it cannot be synced
	l.whole = l.last
	return l.file.Sync()
}

// write appends. A write that a full disk cut off is undone, or the next line
// would begin in the middle of this one.
func (l *Log) write(b []byte) error {
	n, err := l.file.Write(b)
	if err != nil && n > 0 {
		undone := l.file.Truncate(l.size)
		l.lost = undone != nil
		return errors.Join(err, undone)
	}
	l.size += int64(n)
	return err
}

// Close writes down what was left out, and closes the file. All else is on the
// disk already.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.settleAll(), l.file.Close())
}
