package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"crow/internal/release"
)

// errUploadEnded is what an Upload answers after Commit or Abort.
var errUploadEnded = errors.New("upload has ended")

// Upload is a blob that is being written. It is for one goroutine.
type Upload struct {
	dir  *Dir
	file *os.File // nil once the upload has ended
}

// NewBlob begins a blob. End it with Commit or Abort.
func (d *Dir) NewBlob() (*Upload, error) {
	f, err := d.newTemp("blob-*")
	if err != nil {
		return nil, fmt.Errorf("begin blob: %w", Explain(err))
	}
	return &Upload{dir: d, file: f}, nil
}

// Write implements io.Writer. The error is ErrFull if the disk is full.
func (u *Upload) Write(p []byte) (int, error) {
	if u.file == nil {
		return 0, errUploadEnded
	}
	n, err := u.file.Write(p)
	if err != nil {
		return n, fmt.Errorf("write blob: %w", Explain(err))
	}
	return n, nil
}

// Commit stores what was written as the blob digest, which the caller has
// checked that it is. A blob that is there already stays. Once Commit returns
// nil the blob is durable; after an error the upload is gone.
func (u *Upload) Commit(digest release.Digest) error {
	f := u.file
	if f == nil {
		return errUploadEnded
	}
	u.file = nil
	if err := u.dir.placeBlob(f, u.dir.BlobPath(digest)); err != nil {
		return fmt.Errorf("store blob %s: %w", digest, Explain(err))
	}
	return nil
}

func (d *Dir) placeBlob(f *os.File, path string) error {
	// The long sync happens outside the lock; place's own is then short.
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close(), RemoveIfThere(f.Name()))
	}
	d.blobMu.Lock()
	defer d.blobMu.Unlock()
	if sameSize(f, path) {
		return errors.Join(f.Close(), RemoveIfThere(f.Name()))
	}
	return place(f, path, blobMode)
}

// sameSize reports whether a file at path has f's size. One digest has one
// size: a blob with another was damaged from outside, and is replaced.
func sameSize(f *os.File, path string) bool {
	there, err := os.Stat(path)
	if err != nil {
		return false
	}
	mine, err := f.Stat()
	return err == nil && there.Mode().IsRegular() && there.Size() == mine.Size()
}

// Abort gives the upload up and frees its space. After Commit it does nothing,
// so that it can be deferred.
func (u *Upload) Abort() error {
	f := u.file
	if f == nil {
		return nil
	}
	u.file = nil
	if err := errors.Join(f.Close(), RemoveIfThere(f.Name())); err != nil {
		return fmt.Errorf("abort blob: %w", err)
	}
	return nil
}

// BlobPath is where the blob is, or would be. The file must not be changed.
func (d *Dir) BlobPath(digest release.Digest) string {
	return filepath.Join(d.blobs(), digest.String())
}

// OpenBlob opens a blob for reading. The error is ErrNotFound if there is none.
func (d *Dir) OpenBlob(digest release.Digest) (*os.File, error) {
	f, err := os.Open(d.BlobPath(digest))
	if err != nil {
		return nil, fmt.Errorf("open blob: %w", absent(err))
	}
	return f, nil
}

// ListBlobs returns the digests of all blobs, sorted. Files whose names are no
// digests are left out.
func (d *Dir) ListBlobs() ([]release.Digest, error) {
	entries, err := os.ReadDir(d.blobs())
	if err != nil {
		return nil, fmt.Errorf("list blobs: %w", err)
	}
	var digests []release.Digest
	for _, e := range entries {
		if digest, err := release.ParseDigest(e.Name()); err == nil && e.Type().IsRegular() {
			digests = append(digests, digest)
		}
	}
	return digests, nil
}

// DeleteBlob removes a blob for good. One that is not there is no error; who
// has it open can go on reading.
func (d *Dir) DeleteBlob(digest release.Digest) error {
	if err := remove(d.BlobPath(digest)); err != nil {
		return fmt.Errorf("delete blob %s: %w", digest, Explain(err))
	}
	return nil
}
