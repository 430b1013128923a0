package build

import (
	"archive/tar"
	"bytes"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"crow/internal/release"
)

func tarred(t testing.TB, format tar.Format, name string, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content)), Format: format}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressed(t testing.TB, w io.WriteCloser, err error, out *bytes.Buffer, content []byte) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Name = strings.Repeat("long", 100)
	return compressed(t, w, nil, &b, content)
}

func zstded(t testing.TB, content []byte, options ...zstd.EOption) []byte {
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	return compressed(t, w, err, &b, content)
}

func TestFormat(t *testing.T) {
	noise := random(300_000)
	plain := tarred(t, tar.FormatUSTAR, "app", noise)
	changedOne := bytes.Clone(plain)
	changedOne[0] ^= 1
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4}, zstded(t, plain)...)
	tests := []struct {
		name    string
		content []byte
		want    release.Format
	}{
		{"a byte", []byte("x"), release.FormatFile},
		{"noise", noise, release.FormatFile},
		{"zeros", make([]byte, 4096), release.FormatFile},
		{"elf", append([]byte("\x7fELF"), noise...), release.FormatFile},
		{"ustar", plain, release.FormatTar},
		{"pax", tarred(t, tar.FormatPAX, "ü", noise), release.FormatTar},
		{"gnu", tarred(t, tar.FormatGNU, strings.Repeat("g", 200), noise), release.FormatTar},
		{"tar with a wrong checksum", changedOne, release.FormatFile},
		{"cut tar", plain[:511], release.FormatFile},
		{"header of a tar", plain[:512], release.FormatTar},
		{"tar.gz", gzipped(t, plain), release.FormatTarGzip},
		{"tar in two members", append(gzipped(t, nil), gzipped(t, plain)...), release.FormatTarGzip},
		{"gz", gzipped(t, noise), release.FormatFile},
		{"gz of zeros", gzipped(t, make([]byte, 1<<20)), release.FormatFile},
		{"gz of wrong tar", gzipped(t, changedOne), release.FormatFile},
		{"gz magic", []byte{0x1f, 0x8b}, release.FormatFile},
		{"tar.zst", zstded(t, plain), release.FormatTarZstd},
		{"tar.zst --long", zstded(t, plain, zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false)), release.FormatTarZstd},
		{"tar.zst of one segment", zstded(t, plain, zstd.WithSingleSegment(true)), release.FormatTarZstd},
		{"tar.zst at its best", zstded(t, plain, zstd.WithEncoderLevel(zstd.SpeedBestCompression)), release.FormatTarZstd},
		{"tar.zst behind a skippable frame", skippable, release.FormatTarZstd},
		{"zst", zstded(t, noise), release.FormatFile},
		{"zst magic", []byte{0x28, 0xb5, 0x2f, 0xfd}, release.FormatFile},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := formatOf(tt.content[:min(len(tt.content), blockLen)]); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if got := hashed(t, inParts(tt.content)).Format; got != tt.want {
				t.Errorf("hasher: got %s, want %s", got, tt.want)
			}
		})
	}
}

// inParts gives content in two parts.
func inParts(content []byte) io.Reader {
	half := len(content) / 3
	return io.MultiReader(bytes.NewReader(content[:half]), bytes.NewReader(content[half:]))
}

// A window is memory: an archive may not make the seeder take what it likes.
func TestFormatOfLargeWindowStaysSmall(t *testing.T) {
	const limit = 8 << 20
	head := zstded(t, tarred(t, tar.FormatUSTAR, "a", random(2<<20)), zstd.WithWindowSize(128<<20))[:blockLen]
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got := formatOf(head)
	runtime.ReadMemStats(&after)
	if taken := after.TotalAlloc - before.TotalAlloc; got != release.FormatTarZstd || taken > limit {
		t.Errorf("got %s and took %d bytes", got, taken)
	}
}

// A directory is always a tar.
func TestFormatOfDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/ü"+strings.Repeat("n", 200), []byte("x"))
	if got := hashed(t, bytes.NewReader(pack(t, dir))).Format; got != release.FormatTar {
		t.Errorf("got %s", got)
	}
}

func FuzzFormat(f *testing.F) {
	plain := tarred(f, tar.FormatPAX, "ü", []byte("x"))
	for _, seed := range [][]byte{nil, plain, gzipped(f, plain), zstded(f, plain), zstded(f, plain, zstd.WithWindowSize(128<<20))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := formatOf(b)
		if (got == release.FormatTar) != isTar(b) {
			t.Errorf("format %s, tar header %t", got, isTar(b))
		}
		magic := map[release.Format]string{release.FormatTarGzip: "\x1f\x8b", release.FormatTarZstd: "\x28\xb5\x2f\xfd"}[got]
		if !bytes.Contains(b, []byte(magic)) {
			t.Errorf("%s without its magic", got)
		}
	})
}
