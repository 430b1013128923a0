package stage

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"crow/internal/release"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// then is the modification time of packed files.
var then = time.Date(2021, 3, 4, 5, 6, 7, 0, time.UTC)

// The constructors below are the entries of the archives under test.
func file(name, content string) entry { return fileMode(name, content, 0o644) }

func fileMode(name, content string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(content)), ModTime: then}, content}
}

func folder(name string, mode int64) entry {
	return entry{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode}, ""}
}

func symlink(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}, ""}
}

func hardLink(name, target string) entry {
	return entry{tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}, ""}
}

func special(flag byte, name string) entry {
	return entry{tar.Header{Typeflag: flag, Name: name, Mode: 0o644}, ""}
}

type entry struct {
	header  tar.Header
	content string
}

// pack makes a plain tar of the entries, as they are.
func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if err := w.WriteHeader(&e.header); err != nil {
			t.Fatalf("pack %q: %v", e.header.Name, err)
		}
		if _, err := io.WriteString(w, e.content); err != nil {
			t.Fatalf("pack %q: %v", e.header.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// compress gives a tar the form of the format.
func compress(t testing.TB, archive []byte, format release.Format) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch format {
	case release.FormatTar:
		return archive
	case release.FormatTarGzip:
		w = gzip.NewWriter(&b)
	case release.FormatTarZstd:
		z, err := zstd.NewWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	if _, err := w.Write(archive); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var archiveFormats = []release.Format{release.FormatTar, release.FormatTarGzip, release.FormatTarZstd}

func unpack(t testing.TB, archive []byte, dir string) error {
	t.Helper()
	return Unpack(t.Context(), bytes.NewReader(archive), release.FormatTar, dir, DefaultLimits())
}

// snapshot describes a tree, one line for each name: type and mode, size and
// time of files, target of links, digest of files. Inode numbers are left out;
// hard links count.
func snapshot(t testing.TB, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", rel, info.Mode())
		switch {
		case info.Mode().IsRegular():
			content, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %s %d bytes %.4x", info.ModTime().UTC().Format(time.RFC3339), len(content), sha256.Sum256(content))
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(name)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " -> %s", target)
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func read(t testing.TB, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// wantError checks that err has one line with all of the parts.
func wantError(t testing.TB, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("error has more than one line: %q", err)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not contain %q", err, p)
		}
	}
}
