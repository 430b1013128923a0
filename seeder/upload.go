package seeder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
	"crow/seeder/build"
)

const (
	// uploadBuffer is what one upload reads at once, in bytes.
	uploadBuffer = 256 << 10
	// maxUploads bounds the uploads that run at once, and so their memory;
	// others wait. A few fill any disk.
	maxUploads = 4
	// diskMargin is what uploads leave free on the store's disk, in bytes, so
	// that documents can still be written.
	diskMargin = 64 << 20
	// checkEvery is how many bytes go by between looks at the free disk.
	checkEvery = 64 << 20
)

// uploads takes in artifacts: to disk and through the hasher at once, in
// constant memory.
type uploads struct {
	ledger *ledger
	offers *offers
	dir    *store.Dir
	log    *zap.Logger
	slots  chan struct{}
	margin int64 // bytes
}

func newUploads(l *ledger, o *offers, dir *store.Dir, log *zap.Logger) *uploads {
	return &uploads{ledger: l, offers: o, dir: dir, log: log, slots: make(chan struct{}, maxUploads), margin: diskMargin}
}

// take stores an artifact of which length bytes are announced (-1: unknown)
// and returns what it is. Once it returns nil the artifact is durable; after an
// error nothing is left.
func (u *uploads) take(ctx context.Context, artifact io.Reader, length int64) (control.Blob, error) {
	select {
	case u.slots <- struct{}{}:
		defer func() { <-u.slots }()
	case <-ctx.Done():
		return control.Blob{}, ctx.Err()
	}
	if err := u.checkRoom(length); err != nil {
		return control.Blob{}, err
	}
	blob, err := u.dir.NewBlob()
	if err != nil {
		return control.Blob{}, err
	}
	found, err := u.receive(blob, artifact)
	if err != nil {
		return control.Blob{}, errors.Join(err, blob.Abort())
	}
	return found.Blob, u.keep(ctx, blob, found)
}

// receive copies the artifact to the blob and to the hasher.
func (u *uploads) receive(blob io.Writer, artifact io.Reader) (build.Result, error) {
	h := build.NewHasher()
	defer h.Close()
	to, buffer := io.MultiWriter(blob, h), make([]byte, uploadBuffer)
	for {
		n, err := io.CopyBuffer(to, io.LimitReader(artifact, checkEvery), buffer)
		if err != nil {
			return build.Result{}, fmt.Errorf("receive artifact: %w", err)
		}
		if n < checkEvery {
			return h.Sum()
		}
		if err := u.checkRoom(0); err != nil {
			return build.Result{}, err
		}
	}
}

// keep makes a received artifact durable, with all that belongs to it.
func (u *uploads) keep(ctx context.Context, blob *store.Upload, found build.Result) error {
	d := found.SHA256
	replaces, err := ask(ctx, u.ledger, func(b *books, now time.Time) (bool, error) { return b.catalog.expect(d, now) })
	if err != nil {
		return errors.Join(err, blob.Abort())
	}
	err = blob.Commit(d)
	if err == nil {
		err = u.dir.PutDoc(kindTorrent, d.String(), found.Torrent)
	}
	if err == nil {
		err = tell(ctx, u.ledger, func(b *books, now time.Time) error { return b.catalog.addBlob(found.Blob, now) })
	}
	if err == nil {
		u.log.Info("artifact stored", zap.Stringer("sha256", d), zap.Int64("bytes", found.Size),
			zap.Stringer("infohash", found.InfoHash))
		if replaces {
			u.offers.replaced(found.InfoHash)
		}
		return nil
	}
	// The caller may be gone; what it left behind has to go all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(err, tell(ctx, u.ledger, func(b *books, _ time.Time) error { return b.catalog.discard(d) }))
}

// checkRoom reports CodeFull unless the disk has room for so many more bytes.
func (u *uploads) checkRoom(more int64) error {
	if more > release.MaxArtifactSize {
		in := release.Apart(more, release.MaxArtifactSize)
		return &control.Error{Code: control.CodeTooLarge, Message: fmt.Sprintf("artifact of %s: at most %s are allowed", in(more), release.Size(release.MaxArtifactSize))}
	}
	free, err := u.dir.Free()
	if err != nil {
		return err
	}
	if more = max(more, 0); free-u.margin >= more {
		return nil
	}
	in := release.Apart(more, free-u.margin)
	return &control.Error{
		Code: control.CodeFull, Hint: fullHint,
		Message: fmt.Sprintf("the seeder's disk is full: %s free, %s kept in reserve, %s needed", in(free), in(u.margin), in(more)),
	}
}

// uploadError words what broke an upload for the one who sent it.
func uploadError(err error) error {
	_, large := errors.AsType[*http.MaxBytesError](err)
	switch {
	case large:
		return &control.Error{Code: control.CodeTooLarge,
			Message: "artifact: over " + release.Size(release.MaxArtifactSize).String()}
	case errors.Is(err, build.ErrUnusable):
		return usage("", "%v", err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return usage("send it again", "the artifact was cut off on its way")
	}
	return err
}
