package peer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"crow/internal/release"
	"crow/internal/swarm"
)

// sweep drops what nobody needs: artifacts, unfinished downloads, documents. When
// it returns they are gone, also those that another sweep was at.
func (c *cache) sweep() error {
	c.sweeping.Lock()
	defer c.sweeping.Unlock()
	whole, parts, err := c.list()
	if err != nil {
		return err
	}
	known, err := c.state.known()
	if err != nil {
		return err
	}
	there := slices.SortedFunc(slices.Values(slices.Concat(whole, parts, known)), func(a, b release.Digest) int {
		return bytes.Compare(a[:], b[:])
	})
	var trouble error
	for _, d := range slices.Compact(there) {
		trouble = errors.Join(trouble, c.drop(d))
	}
	return trouble
}

// list names the artifacts that have a file, whole or in part.
func (c *cache) list() (whole, parts []release.Digest, err error) {
	files, err := os.ReadDir(c.dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list cache: %w", err)
	}
	for _, f := range files {
		name := f.Name()
		if d, err := release.ParseDigest(name); err == nil {
			whole = append(whole, d)
			continue
		}
		name, _, isPart := strings.Cut(strings.TrimPrefix(name, partPrefix), partSuffix)
		if d, err := release.ParseDigest(name); err == nil && isPart {
			parts = append(parts, d)
		}
	}
	return whole, parts, nil
}

// isHeld reports whether somebody needs or works on the artifact right now.
func (c *cache) isHeld(d release.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.entries[d] != nil
}

// files are an artifact's, whole or in part.
func (c *cache) files(d release.Digest) []string {
	part := c.partPath(d)
	return []string{c.path(d), part, swarm.JournalPath(part)}
}
