package store

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
	"golang.org/x/sys/unix"

	"crow/internal/release"
)

func open(t *testing.T, dir string) *Dir {
	t.Helper()
	d, err := Open(dir, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() }) //nolint:errcheck // some tests close it themselves
	return d
}

func putBlob(t *testing.T, d *Dir, content []byte) release.Digest {
	t.Helper()
	u, err := d.NewBlob()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write(content); err != nil {
		t.Fatal(err)
	}
	digest := release.Digest(sha256.Sum256(content))
	if err := u.Commit(digest); err != nil {
		t.Fatal(err)
	}
	return digest
}

// tempFiles counts what is in the temporary folder.
func tempFiles(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "tmp"))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestOpenLocks(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	if _, err := Open(dir, zap.NewNop()); !errors.Is(err, ErrLocked) {
		t.Fatalf("second Open: %v, want ErrLocked", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
}

func TestOpenReportsUnusableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(file, "store"), zap.NewNop()); !errors.Is(err, unix.ENOTDIR) {
		t.Fatalf("Open below a file: %v, want ENOTDIR", err)
	}
}

// A process that was killed leaves temporary files and whatever it had
// acknowledged; the next one keeps the second and removes the first.
func TestReopenAfterKill(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.PutDoc("deploy", "d-1", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	blob := putBlob(t, d, []byte("artifact"))
	u, err := d.NewBlob()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := u.Write([]byte("half of an arti")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tmp", "doc-7"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}

	d = open(t, dir)
	if n := tempFiles(t, dir); n != 0 {
		t.Errorf("%d temporary files after Open, want none", n)
	}
	if b, err := d.GetDoc("deploy", "d-1"); err != nil || string(b) != "kept" {
		t.Errorf("GetDoc = %q, %v", b, err)
	}
	if blobs, err := d.ListBlobs(); err != nil || len(blobs) != 1 || blobs[0] != blob {
		t.Errorf("ListBlobs = %v, %v", blobs, err)
	}
	if err := u.Commit(blob); err == nil {
		t.Error("an upload of the earlier life was committed")
	}
}

// Folders that were removed under an open store are made again when it is told to.
func TestRemake(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if missing, err := d.Remake(); len(missing) > 0 || err != nil {
		t.Errorf("of a whole one: %q, %v", missing, err)
	}
	for _, name := range []string{"docs", "tmp"} {
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if err := d.PutDoc("kind", "name", []byte("x")); err == nil {
			t.Errorf("without %s: no error", name)
		}
		if missing, err := d.Remake(); len(missing) != 1 || missing[0] != filepath.Join(dir, name) || err != nil {
			t.Errorf("without %s: %q, %v", name, missing, err)
		}
		if err := d.PutDoc("kind", "name", []byte("x")); err != nil {
			t.Error(err)
		}
	}
}

func TestFree(t *testing.T) {
	if n, err := open(t, t.TempDir()).Free(); err != nil || n <= 0 {
		t.Fatalf("Free = %d, %v", n, err)
	}
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	d := open(t, dir)
	if err := d.PutDoc("host", "web-1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	putBlob(t, d, []byte("x"))
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			err = fmt.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A small tmpfs stands for the full disk.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=256k"); err != nil {
		t.Skipf("mounting a tmpfs needs root and the right to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d := open(t, dir)
	t.Cleanup(func() { d.Close() }) //nolint:errcheck // before the unmount
	if err := d.PutDoc("deploy", "d-1", []byte("old")); err != nil {
		t.Fatal(err)
	}
	u, err := d.NewBlob()
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		_, err = u.Write(bytes.Repeat([]byte("x"), 16<<10))
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("blob on a full disk: %v, want ErrFull", err)
	}
	if err := d.PutDoc("deploy", "d-1", bytes.Repeat([]byte("y"), 64<<10)); !errors.Is(err, ErrFull) {
		t.Fatalf("document on a full disk: %v, want ErrFull", err)
	}
	if b, err := d.GetDoc("deploy", "d-1"); err != nil || string(b) != "old" {
		t.Fatalf("after the failed write GetDoc = %q, %v, want the old document", b, err)
	}
	if err := u.Abort(); err != nil {
		t.Fatal(err)
	}
	if n := tempFiles(t, dir); n != 0 {
		t.Fatalf("%d temporary files are left, want none", n)
	}
	if err := d.PutDoc("deploy", "d-1", []byte("new")); err != nil {
		t.Fatalf("after Abort freed the space: %v", err)
	}
}
