package stage

import (
	"archive/tar"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// Mode bits of a tar header (POSIX ustar).
const (
	modeSetuid = 0o4000
	modeSetgid = 0o2000
	modeSticky = 0o1000
)

// cleanName checks the name of an entry or of a hard link's target and gives
// its plain form: components joined by single slashes, or "." for the top.
func cleanName(raw string, limits Limits) (string, error) {
	switch {
	case raw == "":
		return "", errors.New("refused: name is empty")
	case len(raw) > limits.NameLen:
		return "", fmt.Errorf("refused: name is %d bytes long, at most %d are allowed", len(raw), limits.NameLen)
	case strings.HasPrefix(raw, "/"):
		return "", errors.New("refused: name is absolute")
	case strings.ContainsRune(raw, 0):
		return "", errors.New("refused: name holds a zero byte")
	}
	depth := 0
	for part := range strings.SplitSeq(raw, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", errors.New(`refused: name contains ".."`)
		case len(part) > maxComponentLen:
			return "", fmt.Errorf("refused: a component of %d bytes, at most %d are allowed", len(part), maxComponentLen)
		}
		depth++
	}
	if depth > limits.Depth {
		return "", fmt.Errorf("refused: %d directories deep, at most %d are allowed", depth, limits.Depth)
	}
	return path.Clean(raw), nil
}

// checkTarget refuses symlinks that lead out of the tree by their words alone.
// Links that lead out by way of other links are found by tree.finish.
func checkTarget(name, target string, limits Limits) error {
	switch {
	case target == "":
		return errors.New("refused: symlink without a target")
	case len(target) > limits.NameLen:
		return fmt.Errorf("refused: symlink target is %d bytes long, at most %d are allowed", len(target), limits.NameLen)
	case strings.ContainsRune(target, 0):
		return errors.New("refused: symlink target holds a zero byte")
	case path.IsAbs(target):
		return fmt.Errorf("refused: symlink to an absolute path, %s", quote(target))
	}
	if at := path.Join(path.Dir(name), target); at == ".." || strings.HasPrefix(at, "../") {
		return fmt.Errorf("refused: symlink leads out of the archive, to %s", quote(target))
	}
	return nil
}

// checkLeaf checks what holds for all that is not a directory.
func checkLeaf(name string, h *tar.Header) error {
	switch {
	case name == "." || strings.HasSuffix(h.Name, "/"):
		return fmt.Errorf("refused: the name is a directory's, the entry is a %s", typeName(h.Typeflag))
	case h.Typeflag == tar.TypeSymlink: // its mode means nothing
		return nil
	case h.Mode&modeSetuid != 0:
		return errors.New("refused: set-user-id bit")
	case h.Mode&modeSetgid != 0:
		return errors.New("refused: set-group-id bit")
	case h.Mode&modeSticky != 0:
		return errors.New("refused: sticky bit on a file")
	}
	return nil
}

func dirMode(bits int64) fs.FileMode {
	mode := fs.FileMode(bits).Perm()
	if bits&modeSticky != 0 {
		mode |= fs.ModeSticky
	}
	return mode
}

var typeNames = map[byte]string{
	tar.TypeReg: "file", tar.TypeGNUSparse: "sparse file", tar.TypeLink: "hard link", tar.TypeSymlink: "symlink",
	tar.TypeChar: "character device", tar.TypeBlock: "block device", tar.TypeFifo: "FIFO", tar.TypeCont: "contiguous file",
}

func typeName(flag byte) string {
	if s, ok := typeNames[flag]; ok {
		return s
	}
	return "entry of unknown type " + strconv.QuoteRune(rune(flag))
}

// maxQuoted bounds a name in an error, in bytes: errors travel in reports.
const maxQuoted = 200

// quote makes a name fit for an error: one line, printable, not too long.
func quote(name string) string {
	if len(name) > maxQuoted {
		return strconv.QuoteToASCII(name[:maxQuoted]) + "..."
	}
	return strconv.Quote(name)
}
