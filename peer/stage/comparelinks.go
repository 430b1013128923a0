package stage

import (
	"archive/tar"
	"fmt"
	"os"
)

// hardLinks are those of an archive that is compared, for the end: a later entry
// may put another file under either name, and then there is nothing to compare.
type hardLinks struct {
	targets map[string]string   // by name
	names   map[string][]string // by target
}

func newHardLinks() hardLinks {
	return hardLinks{targets: map[string]string{}, names: map[string][]string{}}
}

// add takes in the next entry; one that is no hard link has no target.
func (l hardLinks) add(name, target string) {
	for _, other := range l.names[name] {
		if l.targets[other] == name {
			delete(l.targets, other)
		}
	}
	delete(l.names, name)
	delete(l.targets, name)
	if target != "" {
		l.targets[name] = target
		l.names[target] = append(l.names[target], name)
	}
}

// targetOf is what a hard link leads to; empty for other entries.
func targetOf(h *tar.Header, limits Limits) (string, error) {
	if h.Typeflag != tar.TypeLink {
		return "", nil
	}
	target, err := cleanName(h.Linkname, limits)
	if err != nil {
		return "", fmt.Errorf("hard link to %s: %w", quote(h.Linkname), err)
	}
	return target, nil
}

// compareLinks finds hard links that have become files of their own.
func (c *comparison) compareLinks() {
	for name, target := range c.links.targets {
		if len(c.found) >= maxDifferences {
			return
		}
		if c.found[name] == "" && !c.isSame(name, target) {
			c.found[name] = "is not the same file as " + quote(target)
		}
	}
}

func (c *comparison) isSame(one, two string) bool {
	a, err := c.root.Lstat(one)
	b, err2 := c.root.Lstat(two)
	return err == nil && err2 == nil && os.SameFile(a, b)
}
