package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"crow/internal/release"
)

// Break is where the chain is broken: a line was changed, taken out, put in or
// moved there.
type Break struct {
	File string // its name, without the folder
	Line int    // counted from 1
	Why  string
}

// Error implements error.
func (b *Break) Error() string { return fmt.Sprintf("%s line %d: %s", b.File, b.Line, b.Why) }

// Verify follows the chain through all files of the log at path, which nobody
// may write meanwhile, and returns how many entries are whole. The error is a
// *Break if it is broken; what is counted then is before it.
//
// A line that a crash cut off is no break. It is no entry, so it cannot say what
// it follows; the entry behind it names its digest, and that of the last entry
// before it. Only as the very last line it has nothing behind it: it is passed
// over, as Open does. An entry that somebody made unreadable is no such line: the
// one behind it names another digest.
//
// What no file can tell is that its last lines are gone, and that all of it was
// made anew: the Log that wrote them can, and copies that are kept elsewhere.
func Verify(path string) (whole int, err error) {
	path = filepath.Clean(path)
	all, err := openFiles(path)
	if err == nil && len(all) == 0 {
		err = fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return 0, fmt.Errorf("verify audit log: %w", err)
	}
	defer all.close()
	c, err := all.verify()
	return c.entries, err
}

// Verify is the function of that name for a log that is open, while others
// append. It also knows how the log has to end.
func (l *Log) Verify() (whole int, err error) {
	l.readers <- struct{}{}
	defer func() { <-l.readers }()
	all, last, err := l.snapshot()
	if err != nil {
		return 0, fmt.Errorf("verify audit log: %w", err)
	}
	defer all.close()
	c, err := all.verify()
	if err == nil && c.before != last {
		name := filepath.Base(l.path)
		if len(all) > 0 {
			name = all[0].name()
		}
		err = &Break{name, max(1, c.line), "what the seeder wrote last is not there: lines behind this one are gone, or it was changed"}
	}
	return c.entries, err
}

// verify follows the chain from the oldest file to the newest.
func (all files) verify() (c chain, err error) {
	c.cut = len(all) > 0 && all[len(all)-1].age == maxFiles-1
	for _, f := range slices.Backward(all) {
		c.line = 0
		err := forwards(f.content(), func(n int, text []byte, digest release.Digest) error {
			c.line = n
			if why := c.follow(text, digest); why != "" {
				return &Break{f.name(), n, why}
			}
			return nil
		})
		if _, broken := errors.AsType[*Break](err); err != nil && !broken {
			err = fmt.Errorf("verify audit log: %s: %w", f.name(), err)
		}
		if err != nil {
			return c, err
		}
	}
	return c, nil
}

// chain is how far the lines were followed.
type chain struct {
	cut     bool           // there were older files, as many as the log ever keeps are there
	begun   bool           // there was a line
	before  release.Digest // of the line before
	whole   release.Digest // of the entry before
	torn    bool           // the line before is no entry
	line    int            // the line before, in its file
	entries int
}

// follow takes the next line, and returns why it cannot be the next one; empty
// if it can.
func (c *chain) follow(text []byte, digest release.Digest) (why string) {
	entry, ok := entryOf(text)
	if ok {
		why = c.gap(entry)
		if why != "" {
			return why
		}
		c.entries++
		c.whole = digest
	}
	c.begun, c.before, c.torn = true, digest, !ok
	return ""
}

// gap is what is wrong between the line before and an entry.
func (c *chain) gap(entry line) string {
	switch {
	case !c.begun && c.cut: // what it follows went with the oldest file
		return ""
	case !c.begun && !entry.Previous.IsZero():
		return "it is not the log's first line, and what was before it is gone"
	case entry.Previous != c.before:
		return "it does not follow the line before it: one of the two was changed or moved, or lines between them are gone"
	case c.torn && !entry.Whole.IsZero() && entry.Whole != c.whole && (!c.cut || c.entries > 0):
		return "the last entry before it, and before a line that a crash cut off, was changed or is gone"
	}
	return ""
}
