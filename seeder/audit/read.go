package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// Read returns the newest entries of an app, or with an empty name of all, at
// most so many, newest first. What is no entry is passed over. Others append
// meanwhile: it holds the lock only to open the files.
func (l *Log) Read(app string, most int) ([]control.HistoryEntry, error) {
	l.readers <- struct{}{}
	defer func() { <-l.readers }()
	all, _, err := l.snapshot()
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	defer all.close()
	found := []control.HistoryEntry{}
	name, err := json.Marshal(app)
	for _, f := range all {
		if err != nil || len(found) >= most {
			break
		}
		err = backwards(f, f.size, func(_ span, text []byte) bool {
			if app != "" && !bytes.Contains(text, name) { // decoding takes the most time
				return true
			}
			if e, ok := entryOf(text); ok && (app == "" || e.App == app) {
				found = append(found, e.HistoryEntry)
			}
			return len(found) < most
		})
	}
	if err != nil {
		return nil, fmt.Errorf("read audit log: %w", err)
	}
	return found, nil
}

// snapshot opens the log as it is, whatever is appended later or gets another
// name, and returns the digest of its last line.
func (l *Log) snapshot() (files, release.Digest, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.settle(time.Now()) // what cannot be written now goes on being counted
	if l.lost {
		if err := l.findEnd(); err != nil {
			return nil, release.Digest{}, err
		}
	}
	all, err := openFiles(l.path)
	return all, l.last, err
}
