package seeder

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/build"
)

// failure is why a file could not be offered, for as long as it stays the same
// file: hashing a large one over and over would help nobody.
type failure struct {
	modTime time.Time
	size    int64
	err     error
}

// check makes sure that the artifact's file is what it was when it came. A file
// that looks untouched is believed; another is hashed again.
func (o *offers) check(ctx context.Context, m release.Manifest) error {
	path := o.dir.BlobPath(m.SHA256)
	intact, err := ask(ctx, o.ledger, func(b *books, _ time.Time) (bool, error) {
		s := b.catalog.blobs[m.SHA256]
		return s != nil && s.intact(path), nil
	})
	if err != nil || intact {
		return err
	}
	_, err, _ = o.hashing.Do(m.SHA256.String(), func() (any, error) { return nil, o.rehash(ctx, m, path) })
	return err
}

// rehash reads a touched file, unless it was found to be damaged before.
func (o *offers) rehash(ctx context.Context, m release.Manifest, path string) error {
	fi, err := os.Stat(path)
	if err != nil {
		return o.damaged(m, err)
	}
	o.mu.Lock()
	old, ok := o.broken[m.SHA256]
	o.mu.Unlock()
	if ok && old.size == fi.Size() && old.modTime.Equal(fi.ModTime()) {
		return old.err
	}
	o.log.Warn("artifact's file was touched: hashing it again", zap.Stringer("sha256", m.SHA256))
	if err := verify(path, control.BlobOf(m)); err != nil {
		err = o.damaged(m, err)
		o.mu.Lock()
		defer o.mu.Unlock()
		o.broken[m.SHA256] = failure{modTime: fi.ModTime(), size: fi.Size(), err: err}
		return err
	}
	// Hashing may take longer than the caller waits: whoever asks next is to find
	// it done.
	return tell(context.WithoutCancel(ctx), o.ledger, func(b *books, _ time.Time) error {
		return b.catalog.confirm(m.SHA256, fi.ModTime())
	})
}

// damaged words what is wrong with an artifact's file, which the log has with its path.
func (o *offers) damaged(m release.Manifest, err error) error {
	o.log.Error("artifact is damaged", zap.Stringer("release", m.Ref()), zap.Stringer("sha256", m.SHA256), zap.Error(err))
	return &control.Error{
		Code: control.CodeDamaged, Message: fmt.Sprintf("artifact of %s is damaged on the seeder's disk: %s", m.Ref(), pathless(err)),
		Hint: "push the same build again: it takes the place of the damaged copy",
	}
}

// verify reads a file to see whether it is the artifact that want describes.
func verify(path string, want control.Blob) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := build.NewHasher()
	defer h.Close()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	found, err := h.Sum()
	if err != nil {
		return err
	}
	if field := contradiction(found.Blob, want); field != "" {
		return fmt.Errorf("its %s has changed", field)
	}
	return nil
}
