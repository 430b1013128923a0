package seeder

import (
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// stored is an artifact in the store: the document blobs/<sha256>. Size and
// ModTime tell whether the file is still the one that was hashed.
type stored struct {
	control.Blob
	ModTime time.Time `json:"mod_time"` // of the file
	Added   time.Time `json:"added"`    // when it was last uploaded
}

// intact reports whether the file looks as it did when it was hashed.
func (s *stored) intact(path string) bool {
	fi, err := os.Stat(path)
	return err == nil && fi.Size() == s.Size && fi.ModTime().Equal(s.ModTime)
}

func (c *catalog) loadBlobs() error {
	names, err := c.dir.ListDocs(kindBlob)
	if err != nil {
		return err
	}
	for _, name := range names {
		s := new(stored)
		if err := c.get(kindBlob, name, s); err != nil {
			return err
		}
		if s.SHA256.String() != name {
			return &docError{kindBlob, name, errors.New("it is of another artifact")}
		}
		c.blobs[s.SHA256] = s
	}
	return nil
}

// expect prepares for an artifact that is about to be committed. From here on
// no sweep takes an older copy away, and a copy that was damaged makes room: it
// is replaced.
func (c *catalog) expect(d release.Digest, now time.Time) (replaces bool, err error) {
	s, ok := c.blobs[d]
	if !ok {
		return false, nil
	}
	s.Added = now
	if s.intact(c.dir.BlobPath(d)) {
		return false, nil
	}
	c.log.Warn("stored artifact was damaged and is replaced", zap.Stringer("sha256", d))
	return true, c.dir.DeleteBlob(d)
}

// addBlob records an artifact whose file and torrent are in the store.
func (c *catalog) addBlob(b control.Blob, now time.Time) error {
	fi, err := os.Stat(c.dir.BlobPath(b.SHA256))
	if err != nil {
		return fmt.Errorf("record artifact: %w", err)
	}
	s := &stored{Blob: b, ModTime: fi.ModTime(), Added: now}
	if err := c.put(kindBlob, b.SHA256.String(), s); err != nil {
		return err
	}
	c.blobs[b.SHA256] = s
	return nil
}

// confirm records that the artifact was hashed again and is whole.
func (c *catalog) confirm(d release.Digest, modTime time.Time) error {
	s, ok := c.blobs[d]
	if !ok {
		return fmt.Errorf("artifact %s: %w", d, store.ErrNotFound)
	}
	again := *s
	again.ModTime = modTime
	if err := c.put(kindBlob, d.String(), again); err != nil {
		return err
	}
	c.blobs[d] = &again
	return nil
}

// discard removes an artifact unless it was recorded.
func (c *catalog) discard(d release.Digest) error {
	if _, ok := c.blobs[d]; ok {
		return nil
	}
	return errors.Join(c.dir.DeleteDoc(kindTorrent, d.String()), c.dir.DeleteBlob(d))
}

// sweep removes the artifacts that no release is of, once they are older than
// age. It deletes the record first: an artifact without one is nothing but
// space, and the next start frees it.
func (c *catalog) sweep(now time.Time, age time.Duration) error {
	used := map[release.Digest]bool{}
	for _, all := range c.releases {
		for _, m := range all {
			used[m.SHA256] = true
		}
	}
	for d, s := range c.blobs {
		if used[d] || now.Sub(s.Added) < age {
			continue
		}
		if err := c.removeBlob(d); err != nil {
			return err
		}
		c.log.Info("artifact without a release removed", zap.Stringer("sha256", d), zap.Int64("bytes", s.Size))
	}
	return nil
}

func (c *catalog) removeBlob(d release.Digest) error {
	if err := c.dir.DeleteDoc(kindBlob, d.String()); err != nil {
		return err
	}
	delete(c.blobs, d)
	return c.discard(d)
}

// sweepUnrecorded removes files that a crash left between an upload's commit
// and its record. Nothing may be uploading: it is for the start.
func (c *catalog) sweepUnrecorded() error {
	digests, err := c.dir.ListBlobs()
	if err != nil {
		return err
	}
	for _, d := range digests {
		if err := c.discard(d); err != nil {
			return err
		}
	}
	return nil
}
