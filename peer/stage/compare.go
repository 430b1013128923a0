package stage

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"

	"crow/internal/release"
)

// maxDifferences bounds the differences that are remembered: one that counts no
// further has said enough.
const maxDifferences = 1000

// Compare reports how dir differs from the archive that was unpacked into it:
// what is missing, or has other content, permission bits or targets. What else is
// in dir does not count, a hook may have put it there. Each difference is one
// line that begins with a quoted name, in the order of names; there are at most
// 1000. An error means that it is not known.
func Compare(ctx context.Context, artifact io.Reader, format release.Format, dir string, limits Limits) ([]string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("compare with %s: %w", dir, err)
	}
	defer root.Close()
	in, err := openStream(ctx, artifact, format, limits)
	if err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	defer in.close()
	c := comparison{tar: tar.NewReader(in), root: root, limits: limits, found: map[string]string{}, links: newHardLinks(), a: make([]byte, copyBufferLen), b: make([]byte, copyBufferLen)}
	if err := c.entries(); err != nil {
		return nil, printable(err)
	}
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c.found)) {
		all = append(all, release.Printable(quote(name)+": "+c.found[name]))
	}
	return all, nil
}

// comparison goes through an archive beside the folder that it was unpacked into.
type comparison struct {
	tar    *tar.Reader
	root   *os.Root
	limits Limits
	found  map[string]string // what differs, by name; the last entry of a name counts
	links  hardLinks
	a, b   []byte
}

func (c *comparison) entries() error {
	for len(c.found) < maxDifferences {
		h, err := c.tar.Next()
		switch {
		case errors.Is(err, io.EOF):
			c.compareLinks()
			return nil
		case err != nil && !errors.Is(err, tar.ErrInsecurePath):
			return fmt.Errorf("compare: read archive: %w", explainRead(err))
		case h.Typeflag == tar.TypeXGlobalHeader:
			continue
		}
		if err := c.next(h); err != nil {
			return fmt.Errorf("compare %s: %w", quote(h.Name), err)
		}
	}
	return nil
}

// next compares one entry, in place of an earlier one of its name.
func (c *comparison) next(h *tar.Header) error {
	name, err := cleanName(h.Name, c.limits)
	if err != nil {
		return err
	}
	target, err := targetOf(h, c.limits)
	if err != nil || target == name { // tar writes this for what it was told to pack twice
		return err
	}
	difference, err := c.entry(name, h)
	if err != nil {
		return err
	}
	c.links.add(name, target)
	if delete(c.found, name); difference != "" {
		c.found[name] = difference
	}
	return nil
}

// entry says how what is there differs from the entry.
func (c *comparison) entry(name string, h *tar.Header) (difference string, err error) {
	info, err := c.root.Lstat(name)
	if err != nil {
		return c.trouble(err)
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return c.dir(name, h, info), nil
	case tar.TypeSymlink:
		target, err := c.root.Readlink(name)
		if err != nil || target != h.Linkname {
			return "is not a symlink to " + quote(h.Linkname), nil
		}
		return "", nil
	}
	switch {
	case !info.Mode().IsRegular():
		return "is a " + kind(info) + ", not a file", nil
	case h.Typeflag == tar.TypeLink: // compared at the end
		return "", nil
	case info.Size() != h.Size:
		return fmt.Sprintf("has %d bytes, not %d", info.Size(), h.Size), nil
	case info.Mode().Perm() != fs.FileMode(h.Mode).Perm():
		return fmt.Sprintf("has mode %s, not %s", info.Mode().Perm(), fs.FileMode(h.Mode).Perm()), nil
	}
	return c.content(name)
}

func (c *comparison) dir(name string, h *tar.Header, info fs.FileInfo) string {
	want := dirMode(h.Mode).Perm()
	switch {
	case !info.IsDir():
		return "is a " + kind(info) + ", not a directory"
	case name != "." && info.Mode().Perm() != want: // the top is opened to users of hooks
		return fmt.Sprintf("has mode %s, not %s", info.Mode().Perm(), want)
	}
	return ""
}

// content compares the bytes of a file with those of the entry.
func (c *comparison) content(name string) (difference string, err error) {
	f, err := c.root.Open(name)
	if err != nil {
		return c.trouble(err)
	}
	defer f.Close()
	for {
		n, err := io.ReadFull(c.tar, c.a)
		ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n < len(c.a)
		if err != nil && !ended {
			return "", explainRead(err)
		}
		if _, err := io.ReadFull(f, c.b[:n]); err != nil {
			return c.trouble(err)
		}
		if !bytes.Equal(c.a[:n], c.b[:n]) {
			return "has other content", nil
		}
		if ended {
			return "", nil
		}
	}
}

// trouble words what keeps a file from being read: only a permission that the
// agent lacks says nothing of the file.
func (c *comparison) trouble(err error) (string, error) {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", err
	case errors.Is(err, fs.ErrNotExist):
		return "is missing", nil
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return "cannot be read: " + err.Error(), nil
}

// Sniff says what format an archive has, by its first bytes.
func Sniff(artifact io.ReaderAt) (release.Format, error) {
	var magic [4]byte
	if _, err := artifact.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read archive: %w", err)
	}
	switch {
	case bytes.HasPrefix(magic[:], []byte{0x1f, 0x8b}): // RFC 1952
		return release.FormatTarGzip, nil
	case bytes.Equal(magic[:], []byte{0x28, 0xb5, 0x2f, 0xfd}): // RFC 8878
		return release.FormatTarZstd, nil
	}
	return release.FormatTar, nil
}
