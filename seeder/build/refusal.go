package build

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// Bounds on names inside a directory, as hosts have them when they unpack.
const (
	maxDepth   = 100  // components
	maxNameLen = 2048 // bytes, of a name or a link's target
)

// maxShown bounds a name in an error, in bytes.
const maxShown = 200

// Mode bits that hosts refuse on files.
const (
	modeSetuid = 0o4000
	modeSetgid = 0o2000
	modeSticky = 0o1000
)

// refusal says what a host would refuse about an entry by its header alone, and
// what to do; empty if nothing. The hosts judge by themselves (peer/stage): this
// is so that a push fails at once and not on each of them.
func refusal(e entry) string {
	switch {
	case len(e.name) > maxNameLen:
		return fmt.Sprintf("has a name of %d bytes, hosts unpack at most %d: shorten it", len(e.name), maxNameLen)
	case strings.Count(e.name, "/") >= maxDepth:
		return fmt.Sprintf("is over %d directories deep, which hosts refuse: move it up", maxDepth)
	case e.kind == tar.TypeSymlink:
		return linkRefusal(e)
	case e.kind != tar.TypeReg: // bits of directories do no harm
		return ""
	case e.mode&modeSetuid != 0:
		return "has its set-user-id bit set, which hosts refuse: take it off with chmod u-s"
	case e.mode&modeSetgid != 0:
		return "has its set-group-id bit set, which hosts refuse: take it off with chmod g-s"
	case e.mode&modeSticky != 0:
		return "is a file with its sticky bit set, which hosts refuse: take it off with chmod -t"
	}
	return ""
}

func linkRefusal(e entry) string {
	if len(e.link) > maxNameLen {
		return fmt.Sprintf("is a symbolic link with a target of %d bytes, hosts unpack at most %d: shorten it", len(e.link), maxNameLen)
	}
	if path.IsAbs(e.link) {
		return fmt.Sprintf("is a symbolic link to %q, an absolute path, which hosts refuse: make the link relative, or put the file in its place", shown(e.link))
	}
	if at := path.Join(path.Dir(e.name), e.link); at == ".." || strings.HasPrefix(at, "../") {
		return leadsOut(e)
	}
	return ""
}

func leadsOut(e entry) string {
	return fmt.Sprintf("is a symbolic link to %q, which leads out of the directory and hosts refuse: let it lead to a file inside, or put the file in its place", shown(e.link))
}

// checkLinks follows every link to its end: one may lead out by way of others.
// That it ends nowhere is fine.
func (w *walker) checkLinks() error {
	for _, e := range w.entries {
		if e.kind != tar.TypeSymlink {
			continue
		}
		_, err := w.root.Stat(e.name)
		switch {
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			continue
		case errors.Is(err, syscall.ELOOP):
			return w.refuse(e, fmt.Sprintf(
				"is a symbolic link to %q, part of a loop or of too long a chain of links, which hosts refuse: let it lead to a file", shown(e.link)))
		}
		if _, ok := errors.AsType[syscall.Errno](err); ok {
			return unusable(w.full(e.name), err)
		}
		return w.refuse(e, leadsOut(e)) // os.Root has no error of its own for it
	}
	return nil
}

func (w *walker) refuse(e entry, why string) error {
	return fmt.Errorf("%w %s: %s %s", ErrUnusable, w.path, shown(e.name), why)
}

func shown(name string) string {
	if len(name) > maxShown {
		return name[:maxShown] + "..."
	}
	return name
}
