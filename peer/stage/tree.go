package stage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// impliedMode is that of directories which are only named by what they hold.
const impliedMode fs.FileMode = 0o755

// ownerAll is what the owner needs on a directory while it is filled.
const ownerAll fs.FileMode = 0o700

// copyBufferLen is the buffer between archive and files, in bytes.
const copyBufferLen = 128 << 10

// tree is the directory that an archive is unpacked into. Its methods take
// clean names, relative to the top.
type tree struct {
	root   *os.Root
	limits Limits
	source *ctxReader // of the artifact
	seen   int        // entries, and directories that they implied
	made   int        // files, links and directories that came to be
	bytes  int64      // of files, as written

	at     string   // the directory that entries were last put in
	parent *os.Root // and the same, open; nil for the top

	links      []string               // symlinks, to be checked at the end
	narrow     map[string]fs.FileMode // directories whose owner may not use them, until the end
	remembered int                    // bytes of names in links and narrow
	buf        []byte
}

func newTree(root *os.Root, source *ctxReader, limits Limits) *tree {
	return &tree{root: root, limits: limits, source: source, at: ".", narrow: map[string]fs.FileMode{}, buf: make([]byte, copyBufferLen)}
}

func (t *tree) close() {
	if t.parent != nil {
		t.parent.Close()
	}
	t.at, t.parent = ".", nil
}

// count takes one more entry or implied directory into account.
func (t *tree) count() error {
	if t.seen++; t.seen > t.limits.Entries {
		return fmt.Errorf("refused: archive has more than %d entries", t.limits.Entries)
	}
	return t.limits.room(0)
}

// enter returns a directory, made if need be. Archives list a directory's
// files together, so the last one stays open.
func (t *tree) enter(dir string) (*os.Root, error) {
	if dir != t.at {
		parent, err := t.walk(dir, true)
		if err != nil {
			return nil, err
		}
		t.close()
		t.at, t.parent = dir, parent
	}
	if t.parent == nil {
		return t.root, nil
	}
	return t.parent, nil
}

// walk opens a directory step by step, so that no step is a symlink. The top
// is nil.
func (t *tree) walk(dir string, create bool) (*os.Root, error) {
	if dir == "." {
		return nil, nil
	}
	var at *os.Root
	done := 0
	for part := range strings.SplitSeq(dir, "/") {
		done += len(part) + 1
		from := at
		if from == nil {
			from = t.root
		}
		next, err := t.step(from, part, dir[:done-1], create)
		if at != nil {
			at.Close()
		}
		if err != nil {
			return nil, err
		}
		at = next
	}
	return at, nil
}

func (t *tree) step(from *os.Root, part, name string, create bool) (*os.Root, error) {
	info, err := from.Lstat(part)
	switch {
	case create && errors.Is(err, fs.ErrNotExist):
		if err := t.count(); err != nil {
			return nil, err
		}
		if err := t.mkdir(from, part, impliedMode); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case !info.IsDir():
		return nil, fmt.Errorf("refused: %s is a %s, not a directory", quote(name), kind(info))
	}
	return from.OpenRoot(part)
}

func (t *tree) mkdir(in *os.Root, base string, mode fs.FileMode) error {
	if err := in.Mkdir(base, ownerAll); err != nil {
		return err
	}
	t.made++
	return in.Chmod(base, mode|ownerAll)
}

// finish checks where symlinks lead, now that all of them are there, and then
// sets the directory modes that would have been in the way.
func (t *tree) finish(ctx context.Context) error {
	for _, name := range t.links {
		if err := context.Cause(ctx); err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		if err := t.checkLink(name); err != nil {
			return fmt.Errorf("unpack %s: %w", quote(name), err)
		}
	}
	names := make([]string, 0, len(t.narrow))
	for name := range t.narrow {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range slices.Backward(names) { // children before parents
		if err := t.root.Chmod(name, t.narrow[name]); err != nil {
			return fmt.Errorf("unpack %s: %w", quote(name), err)
		}
	}
	return nil
}

func kind(info fs.FileInfo) string {
	switch {
	case info.IsDir():
		return "directory"
	case info.Mode()&fs.ModeSymlink != 0:
		return "symlink"
	}
	return "file"
}
