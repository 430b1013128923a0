package store

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"crow/internal/release"
)

func TestBlobs(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	digest := release.Digest(sha256.Sum256([]byte("artifact")))
	if _, err := d.OpenBlob(digest); !errors.Is(err, ErrNotFound) {
		t.Fatalf("OpenBlob of nothing: %v, want ErrNotFound", err)
	}
	if got := putBlob(t, d, []byte("artifact")); got != digest {
		t.Fatalf("digest %s, want %s", got, digest)
	}
	f, err := d.OpenBlob(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // only read
	if f.Name() != d.BlobPath(digest) {
		t.Errorf("blob is %s, BlobPath %s", f.Name(), d.BlobPath(digest))
	}
	if err := os.WriteFile(filepath.Join(dir, "blobs", "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if blobs, err := d.ListBlobs(); err != nil || len(blobs) != 1 || blobs[0] != digest {
		t.Fatalf("ListBlobs = %v, %v", blobs, err)
	}
	for range 2 { // the second time it is not there
		if err := d.DeleteBlob(digest); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := io.ReadAll(f); err != nil || string(b) != "artifact" {
		t.Fatalf("reading on after DeleteBlob = %q, %v", b, err)
	}
	if blobs, err := d.ListBlobs(); err != nil || len(blobs) != 0 {
		t.Fatalf("ListBlobs after DeleteBlob = %v, %v", blobs, err)
	}
}

func TestUploadEndsOnce(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	u, err := d.NewBlob()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(u.Abort(), u.Abort()); err != nil {
		t.Fatalf("Abort twice: %v", err)
	}
	if _, err := u.Write([]byte("x")); err == nil {
		t.Error("Write after Abort succeeded")
	}
	if err := u.Commit(release.Digest{1}); err == nil {
		t.Error("Commit after Abort succeeded")
	}
	if n := tempFiles(t, dir); n != 0 {
		t.Errorf("%d temporary files after Abort, want none", n)
	}
}

func TestExistingBlobWins(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	digest := putBlob(t, d, []byte("artifact"))
	before, err := os.Stat(d.BlobPath(digest))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { putBlob(t, d, []byte("artifact")) })
	}
	wg.Wait()
	after, err := os.Stat(d.BlobPath(digest))
	if err != nil || !os.SameFile(before, after) {
		t.Errorf("the blob was replaced: %v", err)
	}
	if n := tempFiles(t, dir); n != 0 {
		t.Errorf("%d temporary files are left, want none", n)
	}
}

// A blob that somebody cut short is healed by the next upload.
func TestDamagedBlobIsReplaced(t *testing.T) {
	d := open(t, t.TempDir())
	digest := putBlob(t, d, []byte("artifact"))
	if err := os.Truncate(d.BlobPath(digest), 3); err != nil {
		t.Fatal(err)
	}
	putBlob(t, d, []byte("artifact"))
	if b, err := os.ReadFile(d.BlobPath(digest)); err != nil || string(b) != "artifact" {
		t.Fatalf("blob = %q, %v", b, err)
	}
}
