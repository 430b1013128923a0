// Package audit is the seeder's memory of who did what: an append-only log of
// JSON lines, each with the SHA-256 of the line before it, so that a line that
// was changed or taken out shows.
//
// It owns the files. What is worth a line is the seeder's to say.
package audit

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// Bounds of the log. A line is a few hundred bytes: the files together hold
// some hundred thousand of them.
const (
	maxFile  = 16 << 20 // bytes, until a new file begins
	maxFiles = 8        // the oldest goes when there are more
	maxLine  = 16 << 10 // bytes
)

// Log is an open log. It is safe for concurrent use.
type Log struct {
	path string // of the newest file; older ones have .1, .2 and so on behind it
	mu   sync.Mutex
	file *os.File
	size int64
	last release.Digest // of the last line, without its end
}

// line is an entry as it is written.
type line struct {
	control.HistoryEntry
	Previous release.Digest `json:"previous"` // SHA-256 of the line before; zero: the first
}

// Open opens or begins the log at path. A last line that a crash cut off is
// completed by an end, and stays as it is: nothing is ever taken out.
func Open(path string) (*Log, error) {
	f, err := os.OpenFile(filepath.Clean(path), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open audit log: %w", err)
	}
	l := &Log{path: path, file: f}
	if err := l.findEnd(); err != nil {
		return nil, errors.Join(fmt.Errorf("read audit log: %w", err), f.Close())
	}
	return l, nil
}

// findEnd looks for the last line, from which the chain goes on.
func (l *Log) findEnd() error {
	fi, err := l.file.Stat()
	if err != nil {
		return err
	}
	l.size = fi.Size()
	tail := make([]byte, min(l.size, 2*maxLine))
	if _, err := l.file.ReadAt(tail, l.size-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(tail) > 0 && tail[len(tail)-1] != '\n' {
		if err := l.write([]byte("\n")); err != nil {
			return err
		}
		tail = append(tail, '\n')
	}
	lines := bytes.Split(bytes.TrimSuffix(tail, []byte("\n")), []byte("\n"))
	if end := lines[len(lines)-1]; len(end) > 0 {
		l.last = sha256.Sum256(end)
	}
	return nil
}

// Append adds an entry and syncs it to the disk. Its time is set if it has none.
func (l *Log) Append(e control.HistoryEntry) error {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	l.mu.Lock()
	defer l.mu.Unlock()
	b, err := json.Marshal(line{HistoryEntry: e, Previous: l.last})
	if err == nil && len(b) >= maxLine {
		err = fmt.Errorf("an entry of %d bytes, at most %d are allowed", len(b), maxLine)
	}
	if err == nil {
		err = l.rotate()
	}
	if err == nil {
		err = l.write(append(b, '\n'))
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		return fmt.Errorf("append to audit log: %w", err)
	}
	l.last = sha256.Sum256(b)
	return nil
}

// write appends. A write that a full disk cut off is undone, or the next line
// would begin in the middle of this one.
func (l *Log) write(b []byte) error {
	n, err := l.file.Write(b)
	if err != nil && n > 0 {
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(n)
	return err
}

// rotate begins a new file when the newest is full. The chain goes on in it.
func (l *Log) rotate() error {
	if l.size < maxFile {
		return nil
	}
	for i := maxFiles - 1; i > 0; i-- {
		if err := os.Rename(l.numbered(i-1), l.numbered(i)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	err = l.file.Close()
	l.file, l.size = f, 0
	return err
}

// numbered is the path of the i-th newest file.
func (l *Log) numbered(i int) string {
	if i == 0 {
		return l.path
	}
	return fmt.Sprintf("%s.%d", l.path, i)
}

// Read returns the newest entries of an app, or with an empty name of all, at
// most so many, newest first.
func (l *Log) Read(app string, most int) ([]control.HistoryEntry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := []control.HistoryEntry{}
	for i := 0; i < maxFiles && len(found) < most; i++ {
		entries, err := readFile(l.numbered(i), app)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read audit log: %w", err)
		}
		for j := len(entries) - 1; j >= 0 && len(found) < most; j-- {
			found = append(found, entries[j])
		}
	}
	return found, nil
}

// readFile returns a file's entries of an app, oldest first. What is no entry,
// such as a line that a crash cut off, is passed over.
func readFile(path, app string) (entries []control.HistoryEntry, err error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine+1)
	for lines.Scan() {
		var one line
		if json.Unmarshal(lines.Bytes(), &one) == nil && (app == "" || one.App == app) {
			entries = append(entries, one.HistoryEntry)
		}
	}
	return entries, lines.Err()
}

// Close closes the file. Everything is on the disk already.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
