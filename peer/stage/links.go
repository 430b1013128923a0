package stage

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

func (t *tree) symlink(dir, base, target string) error {
	in, err := t.vacate(dir, base)
	if err != nil {
		return err
	}
	if err := in.Symlink(target, base); err != nil {
		return err
	}
	t.made++
	name := path.Join(dir, base)
	t.links = append(t.links, name)
	return t.remember(name)
}

func (t *tree) hardLink(dir, base, target string) error {
	name := path.Join(dir, base)
	info, err := t.lookup(target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("refused: it was not unpacked before")
	case err == nil && name == target && !info.IsDir():
		return nil // tar writes this for what it was told to pack twice
	case err == nil && !info.Mode().IsRegular():
		err = fmt.Errorf("refused: it is a %s, not a file", kind(info))
	}
	if err != nil {
		return fmt.Errorf("hard link to %s: %w", quote(target), err)
	}
	if _, err := t.vacate(dir, base); err != nil {
		return err
	}
	t.made++
	return t.root.Link(target, name)
}

// lookup finds what was unpacked under a name, never by way of a symlink.
func (t *tree) lookup(name string) (fs.FileInfo, error) {
	in, err := t.walk(path.Dir(name), false)
	if err != nil {
		return nil, err
	}
	if in == nil {
		return t.root.Lstat(path.Base(name))
	}
	defer in.Close()
	return in.Lstat(path.Base(name))
}

// checkLink resolves a symlink within the root. One that dangles is fine as
// long as its way stays inside; one that cannot be followed to its end is not,
// since the kernel follows further than os.Root does.
func (t *tree) checkLink(name string) error {
	_, err := t.root.Stat(name)
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, unix.ENOTDIR):
		return nil
	case errors.Is(err, unix.ELOOP):
		return errors.New("refused: symlink is part of a loop or of too long a chain of symlinks")
	}
	return fmt.Errorf("refused: symlink leads out of the archive: %w", err)
}
