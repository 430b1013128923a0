// Package stage turns a verified artifact into the folder of a release: it
// unpacks archives safely, says how much disk that may take, syncs, and removes
// what was unpacked.
//
// The archive is not trusted, though its digest was checked: who builds a
// release must not be able to write outside of the release's folder, make a
// device or a set-user-id program, or fill a host's memory. Everything is
// written through an os.Root, and nothing is ever written through a symlink.
//
// What is kept of an entry: its name, type, permission bits, the sticky bit of
// directories, symlink targets and hard links, and the modification time of
// files. Owners and extended attributes are not kept, nor is the set-group-id
// bit of directories, which means nothing without the group; everything belongs
// to who unpacks. Of two entries with one name the later replaces the earlier,
// as tar has it, except that a directory and anything else never replace each
// other.
//
// Choosing the folder, emptying it after a failure and renaming it into place
// are the caller's.
package stage

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"crow/internal/release"
	"crow/internal/store"
)

// Unpack writes the entries of an archive below dir, an empty directory that
// exists. Permission bits are those of the archive, whatever the umask is; dir
// itself takes those of the archive's "./" entry, if it has one, but stays open
// to its owner, who has to rename it. When ctx ends Unpack stops with its cause.
//
// An error names the entry that it is about. One that a full disk caused says
// so and wraps store.ErrFull. After an error dir holds what was unpacked so
// far; Remove takes it away.
func Unpack(ctx context.Context, artifact io.Reader, format release.Format, dir string, limits Limits) error {
	root, err := openEmpty(dir)
	if err != nil {
		return fmt.Errorf("unpack into %s: %w", dir, err)
	}
	defer root.Close()
	in, err := openStream(ctx, artifact, format, limits)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	defer in.close()
	u := unpacker{in: in, tar: tar.NewReader(in), tree: newTree(root, in.source, limits), limits: limits}
	defer u.tree.close()
	if err := u.entries(); err != nil {
		return printable(store.Explain(err))
	}
	return printable(store.Explain(u.tree.finish(ctx)))
}

func openEmpty(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	f, err := root.Open(".")
	if err == nil {
		_, err = f.ReadDir(1)
		f.Close()
	}
	if errors.Is(err, io.EOF) {
		return root, nil
	}
	root.Close()
	if err == nil {
		err = errors.New("it is not empty")
	}
	return nil, err
}

// unpacker carries one archive into one tree.
type unpacker struct {
	in     *stream
	tar    *tar.Reader
	tree   *tree
	limits Limits
	last   string // name of the newest entry, for errors between entries
}

func (u *unpacker) entries() error {
	for {
		h, err := u.tar.Next()
		switch {
		case errors.Is(err, io.EOF):
			return u.end()
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return fmt.Errorf("unpack: read archive %s: %w", u.position(), explainRead(err))
		}
		u.last = h.Name
		if err := u.entry(h); err != nil {
			return fmt.Errorf("unpack %s: %w", quote(h.Name), explainRead(err))
		}
	}
}

// end checks that the archive ends where it should: with tar's end marker, and
// with nothing but zeros behind it.
func (u *unpacker) end() error {
	if u.in.ended && u.last == "" {
		return errors.New("unpack: archive is empty")
	}
	if u.in.ended {
		return fmt.Errorf("unpack: archive has no end marker %s: it is truncated", u.position())
	}
	if err := u.in.drain(); err != nil {
		return fmt.Errorf("unpack: read what follows the archive's end: %w", explainRead(err))
	}
	if u.tree.made == 0 {
		return errors.New("unpack: archive is empty")
	}
	return nil
}

func (u *unpacker) position() string {
	if u.last == "" {
		return "at its beginning"
	}
	return "after entry " + quote(u.last)
}

// entry unpacks one entry. It decides by the header alone what is refused, so
// that nothing of a refused entry reaches the disk.
func (u *unpacker) entry(h *tar.Header) error {
	if err := u.tree.count(); err != nil {
		return err
	}
	if h.Typeflag == tar.TypeXGlobalHeader { // comments such as git's commit id
		return nil
	}
	name, err := cleanName(h.Name, u.limits)
	if err != nil {
		return err
	}
	if h.Typeflag == tar.TypeDir {
		return u.tree.dir(name, dirMode(h.Mode))
	}
	if err := checkLeaf(name, h); err != nil {
		return err
	}
	dir, base := path.Split(name)
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		return u.tree.file(path.Clean(dir), base, h, u.tar)
	case tar.TypeSymlink:
		if err := checkTarget(name, h.Linkname, u.limits); err != nil {
			return err
		}
		return u.tree.symlink(path.Clean(dir), base, h.Linkname)
	case tar.TypeLink:
		target, err := cleanName(h.Linkname, u.limits)
		if err != nil {
			return fmt.Errorf("hard link to %s: %w", quote(h.Linkname), err)
		}
		return u.tree.hardLink(path.Clean(dir), base, target)
	}
	return fmt.Errorf("refused: %s", typeName(h.Typeflag))
}

// printable makes the text of an error fit for a terminal: the system's errors
// hold names as the archive has them.
func printable(err error) error {
	if err == nil || release.Printable(err.Error()) == err.Error() {
		return err
	}
	return &cleaned{err}
}

type cleaned struct{ err error }

// Error implements error.
func (c *cleaned) Error() string { return release.Printable(c.err.Error()) }

// Unwrap implements errors.Is.
func (c *cleaned) Unwrap() error { return c.err }

// explainRead gives the two commonest faults of archives their plain names.
func explainRead(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("archive is truncated: %w", err)
	case errors.Is(err, tar.ErrHeader):
		return fmt.Errorf("damaged, or not a tar: %w", err)
	}
	return err
}
