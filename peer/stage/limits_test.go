package stage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"crow/internal/release"
	"crow/internal/store"
)

func TestLimits(t *testing.T) {
	limits := Limits{Entries: 4, Bytes: 10, Depth: 3, NameLen: 20, Ratio: 200, Slack: 64 << 20}
	for _, c := range []struct {
		what    string
		entries []entry
		want    string // of the error; empty: none
	}{
		{"all that is allowed", []entry{file("a/b/c", "12345"), file("d", "67890")}, ""},
		{"a byte too many", []entry{file("a", "12345"), file("b", "678901")}, "larger than 10 bytes"},
		{"replacing counts", []entry{file("a", "123456"), file("a", "123456")}, "larger than 10 bytes"},
		{"entries", []entry{file("a", ""), file("b", ""), file("c", ""), file("d", ""), file("e", "")}, "more than 4 entries"},
		{"the same entry", []entry{file("a", ""), file("a", ""), file("a", ""), file("a", ""), file("a", "")}, "more than 4 entries"},
		{"implied directories", []entry{file("a/b/c", ""), file("d/e/f", "")}, "more than 4 entries"},
		{"global headers", []entry{comment(), comment(), comment(), comment(), comment()}, "more than 4 entries"},
		{"depth", []entry{file("a/b/c/d", "")}, "4 directories deep"},
		{"dots are not depth", []entry{file("./././a//b/./c", "")}, ""},
		{"name", []entry{file("123456789012345678901", "")}, "21 bytes long"},
	} {
		t.Run(c.what, func(t *testing.T) {
			err := Unpack(t.Context(), bytes.NewReader(pack(t, c.entries...)), release.FormatTar, t.TempDir(), limits)
			if c.want == "" && err != nil {
				t.Error(err)
			}
			if c.want != "" {
				wantError(t, err, c.want)
			}
		})
	}
}

// TestRoom has room for two files and what is no file.
func TestRoom(t *testing.T) {
	full := errors.New("no room")
	left := int64(10)
	limits := DefaultLimits()
	limits.Room = func(n int64) error {
		if left -= n; left < 0 {
			return full
		}
		return nil
	}
	dir := t.TempDir()
	archive := pack(t, file("a/1", "12345"), folder("b", 0o755), symlink("b/l", "../a"), file("a/2", "12345"), file("a/3", "1"))
	err := Unpack(t.Context(), bytes.NewReader(archive), release.FormatTar, dir, limits)
	wantError(t, err, "a/3", "no room")
	if !errors.Is(err, full) {
		t.Errorf("%v does not wrap the cause", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "a/3")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the third file: %v", err)
	}
	limits.Room = func(int64) error { return full }
	wantError(t, Unpack(t.Context(), bytes.NewReader(pack(t, folder("d", 0o755))), release.FormatTar, t.TempDir(), limits), "d", "no room")
}

func TestStreamLenDoesNotOverflow(t *testing.T) {
	if got := (Limits{Entries: 10, Bytes: math.MaxInt64}).streamLen(); got != math.MaxInt64 {
		t.Errorf("got %d", got)
	}
	limits := DefaultLimits()
	limits.Bytes = math.MaxInt64
	err := Unpack(t.Context(), bytes.NewReader(pack(t, file("a", "b"))), release.FormatTar, t.TempDir(), limits)
	if err != nil {
		t.Error(err)
	}
}

// zeros gives n zero bytes.
func zeros(n int64) io.Reader { return io.LimitReader(zero{}, n) }

type zero struct{}

func (zero) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// TestBombs unpacks archives that are small and become large.
func TestBombs(t *testing.T) {
	const bomb = 64 << 20
	limits := Limits{Entries: 100, Bytes: 1 << 20, Depth: 10, NameLen: 100, Ratio: 200, Slack: 64 << 20}
	var one, behind bytes.Buffer
	z := gzip.NewWriter(&one)
	w := tar.NewWriter(z)
	h := tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: bomb}
	if err := errors.Join(w.WriteHeader(&h), copyAll(w, zeros(bomb)), w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	z = gzip.NewWriter(&behind)
	if err := errors.Join(copyAll(z, bytes.NewReader(pack(t, file("a", "b")))), copyAll(z, zeros(bomb)), z.Close()); err != nil {
		t.Fatal(err)
	}
	for what, archive := range map[string][]byte{"larger than": one.Bytes(), "archive is larger than the limits": behind.Bytes()} {
		dir := t.TempDir()
		wantError(t, Unpack(t.Context(), bytes.NewReader(archive), release.FormatTarGzip, dir, limits), what)
		if n := sizeOf(t, dir); n > limits.Bytes {
			t.Errorf("%d bytes were written, %d are allowed", n, limits.Bytes)
		}
	}
}

func copyAll(w io.Writer, r io.Reader) error {
	_, err := io.Copy(w, r)
	return err
}

func sizeOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		n += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestZstdWindow(t *testing.T) {
	for size, ok := range map[int]bool{8 << 20: true, 32 << 20: true, 64 << 20: false} {
		var b bytes.Buffer
		z, err := zstd.NewWriter(&b, zstd.WithWindowSize(size), zstd.WithEncoderConcurrency(1), zstd.WithSingleSegment(false))
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(z)
		h := tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644, Size: 65 << 20}
		if err := errors.Join(w.WriteHeader(&h), copyAll(w, zeros(h.Size)), w.Close(), z.Close()); err != nil {
			t.Fatal(err)
		}
		err = Unpack(t.Context(), &b, release.FormatTarZstd, t.TempDir(), DefaultLimits())
		if ok && err != nil {
			t.Errorf("window of %d: %v", size, err)
		}
		if !ok {
			wantError(t, err, "window", "--long=25")
		}
	}
}

// TestTruncated cuts archives at every place. The cut is an error wherever it
// is, between entries and within the end marker too.
func TestTruncated(t *testing.T) {
	archive := pack(t, file("a", "content"), symlink("l", "a"), file(strings.Repeat("long/", 40)+"f", "x"), folder("d", 0o755))
	for _, format := range archiveFormats {
		whole := compress(t, archive, format)
		step := 1 + len(whole)/150
		for n := 0; n < len(whole); n += step {
			err := Unpack(t.Context(), bytes.NewReader(whole[:n]), format, t.TempDir(), DefaultLimits())
			if err == nil {
				t.Errorf("%s: %d of %d bytes are enough", format, n, len(whole))
			} else if !strings.Contains(err.Error(), "truncated") && !strings.Contains(err.Error(), "empty") {
				t.Errorf("%s: %d of %d bytes: %v", format, n, len(whole), err)
			}
		}
	}
}

func TestDamaged(t *testing.T) {
	archive := pack(t, file("a", "content"))
	for what, c := range map[string]struct {
		format  release.Format
		archive []byte
	}{
		"garbage behind":      {release.FormatTar, append(bytes.Clone(archive), "garbage"...)},
		"not a tar":           {release.FormatTar, bytes.Repeat([]byte("text "), 1000)},
		"read gzip":           {release.FormatTarGzip, archive},
		"read archive":        {release.FormatTarZstd, archive},
		"what follows":        {release.FormatTarGzip, append(compress(t, archive, release.FormatTarGzip), "garbage garbage garbage"...)},
		"what follows the":    {release.FormatTarZstd, append(compress(t, archive, release.FormatTarZstd), "garbage"...)},
		"is not an archive":   {release.FormatFile, archive},
		"gzip: invalid check": {release.FormatTarGzip, flip(compress(t, archive, release.FormatTarGzip))},
		"not an archive":      {release.Format(99), archive},
	} {
		err := Unpack(t.Context(), bytes.NewReader(c.archive), c.format, t.TempDir(), DefaultLimits())
		wantError(t, err, "unpack", what)
	}
	padded := append(bytes.Clone(archive), make([]byte, 8192)...)
	if err := unpack(t, padded, t.TempDir()); err != nil {
		t.Errorf("zeros behind the end: %v", err)
	}
}

// flip damages the checksum at the end of a gzip.
func flip(b []byte) []byte {
	b[len(b)-8] ^= 1
	return b
}

// slow ends ctx after some of its bytes and then goes on as if nothing was.
type slow struct {
	io.Reader
	left int
	end  context.CancelCauseFunc
}

func (s *slow) Read(p []byte) (int, error) {
	if s.left -= len(p); s.left < 0 {
		s.end(errStopped)
	}
	return s.Reader.Read(p)
}

var errStopped = errors.New("the agent stops")

func TestCancel(t *testing.T) {
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	h := tar.Header{Typeflag: tar.TypeReg, Name: "zeros", Size: 64 << 20}
	if err := errors.Join(w.WriteHeader(&h), copyAll(w, zeros(h.Size)), w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	dir := t.TempDir()
	err = Unpack(ctx, &slow{&b, 16 << 10, cancel}, release.FormatTarGzip, dir, DefaultLimits())
	if !errors.Is(err, errStopped) {
		t.Errorf("got %v", err)
	}
	if n := sizeOf(t, dir); n > 48<<20 {
		t.Errorf("%d bytes were unpacked nevertheless", n)
	}
}

func TestUnusableFolder(t *testing.T) {
	dir := t.TempDir()
	archive := pack(t, file("a", "b"))
	wantError(t, unpack(t, archive, filepath.Join(dir, "missing")), "missing", "no such file")
	if err := os.WriteFile(filepath.Join(dir, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, unpack(t, archive, filepath.Join(dir, "f")), "not a directory")
	wantError(t, unpack(t, archive, dir), dir, "not empty")
}

// TestFullDisk needs the right to mount.
func TestFullDisk(t *testing.T) {
	for _, c := range []struct {
		what, options string
		entries       []entry
	}{
		{"blocks", "size=1m", []entry{file("small", "x"), file("large", strings.Repeat("x", 2<<20))}},
		{"inodes", "size=1m,nr_inodes=5", []entry{file("1", ""), file("2", ""), file("3", ""), file("4", ""), file("large", "")}},
	} {
		dir := t.TempDir()
		if err := unix.Mount("crow", dir, "tmpfs", 0, c.options); err != nil {
			t.Skipf("cannot mount: %v", err)
		}
		err := unpack(t, pack(t, c.entries...), dir)
		if err2 := unix.Unmount(dir, 0); err2 != nil {
			t.Fatal(err2)
		}
		wantError(t, err, "disk is full", `"large"`)
		if !errors.Is(err, store.ErrFull) || !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%s: %v does not wrap ErrFull and ENOSPC", c.what, err)
		}
	}
}

// TestMemoryOfNames holds that names which wait for the end are bounded.
func TestMemoryOfNames(t *testing.T) {
	tr := newTree(nil, nil, DefaultLimits())
	name := strings.Repeat("n", 1000)
	var err error
	for n := 0; err == nil; n++ {
		if err = tr.remember(name); n > maxRemembered/1000 && err == nil {
			t.Fatal("no end")
		}
	}
	wantError(t, err, "too many symlinks")
}

func TestEstimate(t *testing.T) {
	for _, c := range []struct {
		format release.Format
		size   int64
		unpack bool
		want   int64
	}{
		{release.FormatTar, 1000, true, 1250},
		{release.FormatTarGzip, 1000, true, 5000},
		{release.FormatTarZstd, 1000, true, 5000},
		{release.FormatFile, 1000, true, 0},
		{release.FormatTarGzip, 1000, false, 0},
		{release.FormatTarGzip, -1, true, 0},
		{release.FormatTar, math.MaxInt64, true, math.MaxInt64},
		{release.FormatTarGzip, release.MaxArtifactSize, true, 5 * release.MaxArtifactSize},
	} {
		if got := Estimate(c.format, c.size, c.unpack); got != c.want {
			t.Errorf("Estimate(%v, %d, %v) = %d, want %d", c.format, c.size, c.unpack, got, c.want)
		}
	}
}

func TestSync(t *testing.T) {
	dir := t.TempDir()
	if err := Sync(dir); err != nil {
		t.Error(err)
	}
	wantError(t, Sync(filepath.Join(dir, "missing")), "sync", "missing")
}

func TestRemoveNothing(t *testing.T) {
	if err := Remove(filepath.Join(t.TempDir(), "missing")); err != nil {
		t.Error(err)
	}
}

func TestCheckLeafNames(t *testing.T) {
	for _, name := range []string{"f/", "./"} {
		h := tar.Header{Name: name, Typeflag: tar.TypeReg}
		clean, err := cleanName(name, DefaultLimits())
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, checkLeaf(clean, &h), "directory's", "file")
	}
}

func ExampleUnpack() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	err = Unpack(context.Background(), strings.NewReader(""), release.FormatTar, dir, DefaultLimits())
	fmt.Println(err)
	// Output: unpack: archive is empty
}
