package stage

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"crow/internal/release"
)

// hostile is one archive of the corpus, and what is to be said of it.
type hostile struct {
	what    string
	format  release.Format
	archive []byte
	want    string // part of the error; empty: it is harmless
}

func corpus(t testing.TB) []hostile {
	return slices.Concat(hostileHeaders(), hostileExtensions(), hostileLinks(t), hostileStreams(t))
}

// hostileHeaders are wrong in a plain header.
func hostileHeaders() []hostile {
	one := func(what, want string, parts ...[]byte) hostile {
		return hostile{what, release.FormatTar, join(append(parts, tarEnd)...), want}
	}
	return []hostile{
		one("negative size", "invalid tar header", raw(tar.TypeReg, "f", 0, binarySize(124, -1)), body("x")),
		one("size beyond all", "larger than", raw(tar.TypeReg, "f", 0, binarySize(124, 1<<62)), body("x")),
		one("size beyond the archive", "truncated", raw(tar.TypeReg, "f", 100_000), body("x")),
		one("no name", "name is empty", raw(tar.TypeReg, "", 0)),
		one("only slashes", "absolute", raw(tar.TypeReg, "///", 0)),
		one("prefix leads out", `".."`, raw(tar.TypeReg, "f", 0, at(257, "ustar\x0000"), at(345, "../.."))),
		one("prefix is absolute", "absolute", raw(tar.TypeReg, "f", 0, at(257, "ustar\x0000"), at(345, "/etc"))),
		one("continued volume", "unknown type 'M'", raw('M', "f", 0)),
		one("list of a directory", "unknown type 'D'", raw('D', "d", 0)),
		one("volume's name", "unknown type 'V'", raw('V', "v", 0)),
		one("socket, as some packers have it", "unknown type 's'", raw('s', "s", 0)),
		one("device with a size", "character device", raw(tar.TypeChar, "null", 1), body("x")),
		one("set-user-id in a sparse file", "set-user-id", raw(tar.TypeGNUSparse, "s", 0, at(100, "0004755\x00"), at(483, "00000000000\x00"))),
		one("set-user-id on a hard link", "set-user-id", plain("f"), raw(tar.TypeLink, "g", 0, at(157, "f"), at(100, "0004755\x00"))),
		one("set-user-id on a directory means nothing", "", raw(tar.TypeDir, "d/", 0, at(100, "0004755\x00"))),
		one("below a file", "is a file, not a directory", plain("f"), plain("f/g/h")),
		one("below a file that was a link", "is a file, not a directory", raw(tar.TypeSymlink, "f", 0, at(157, ".")), plain("f"), plain("f/g")),
		one("a directory, then a file", "directory already", plain("d/f"), plain("d")),
		one("names that differ in case", "", raw(tar.TypeSymlink, "D", 0, at(157, "e")), plain("d/f"), plain("E/f"), plain("e/f")),
		one("backslashes are no separators", "", plain(`..\..\f`), plain(`C:\f`)),
		one("a name of control characters", "", plain("a\nb\x1b[2J\u202e")),
		one("a twin", "", plain("f"), plain("f"), plain("./f"), plain(".//f")),
		one("a file with a directory's name", "directory's", plain("f//")),
	}
}

// hostileExtensions are wrong in PAX and GNU headers, which replace a plain one.
func hostileExtensions() []hostile {
	one := func(what, want string, parts ...[]byte) hostile {
		return hostile{what, release.FormatTar, join(append(parts, tarEnd)...), want}
	}
	long := func(flag byte, text string) []byte {
		return join(raw(flag, "././@LongLink", int64(len(text))), body(text))
	}
	sparse := func(size int64, name string) []byte {
		return join(pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name="+name, fmt.Sprint("GNU.sparse.realsize=", size)),
			raw(tar.TypeReg, "x", block), body("0\n"))
	}
	return []hostile{
		one("PAX path leads out", `".."`, pax("path=../../etc/passwd"), plain("f")),
		one("PAX path is absolute", "absolute", pax("path=/etc/passwd"), plain("f")),
		one("PAX path with a zero byte", "invalid tar header", pax("path=a\x00b"), plain("f")),
		one("PAX path of 4,001 bytes", "4001 bytes long", pax("path="+strings.Repeat("d/", 2000)+"f"), plain("f")),
		one("PAX link leads out", "leads out", pax("linkpath=../x"), raw(tar.TypeSymlink, "l", 0, at(157, "f"))),
		one("PAX size is negative", "invalid tar header", pax("size=-1"), plain("f")),
		one("PAX size is no number", "invalid tar header", pax("size=0x10"), plain("f")),
		one("PAX size beyond all", "larger than", pax(fmt.Sprint("size=", int64(1)<<62)), plain("f")),
		one("PAX record longer than it says", "invalid tar header", raw(tar.TypeXHeader, "x", 9), body("99 path=f"), plain("f")),
		one("PAX record of length zero", "invalid tar header", raw(tar.TypeXHeader, "x", 9), body("0 path=f\n"), plain("f")),
		one("PAX header of more than 1 MiB", "header field too long", pax("comment="+strings.Repeat("x", 1<<20)), plain("f")),
		one("PAX header that says it is larger", "header field too long", raw(tar.TypeXHeader, "x", 1<<32), bytes.Repeat([]byte("x"), 2<<20)),
		one("PAX header at the end", "empty", pax("path=f")),
		one("PAX headers in a row", "", bytes.Repeat(pax("path=f"), 100), plain("g")),
		one("global header", "empty", raw(tar.TypeXGlobalHeader, "g", 13), body("13 path=../f\n")),
		one("GNU name leads out", `".."`, long('L', "../../etc/passwd\x00"), plain("f")),
		one("GNU name of 5,000 bytes", "5000 bytes long", long('L', strings.Repeat("n", 5000)), plain("f")),
		one("GNU name of 2 MiB", "header field too long", long('L', strings.Repeat("n", 2<<20)), plain("f")),
		one("GNU link leads out", "leads out", long('K', "../x\x00"), raw(tar.TypeSymlink, "l", 0)),
		one("sparse name leads out", `".."`, sparse(1, "../f")),
		one("sparse file of 1 EiB", "larger than", sparse(1<<60, "f")),
		one("sparse file of 64 MiB out of nothing", "expands more than 200-fold", sparse(64<<20, "f")),
		one("sparse map without an end", "truncated", pax("GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.realsize=1"),
			raw(tar.TypeReg, "x", block), body("99999999\n")),
		one("sparse map of PAX 0.1 that turns back", "invalid tar header", pax("GNU.sparse.major=0", "GNU.sparse.minor=1", "GNU.sparse.size=10",
			"GNU.sparse.numblocks=2", "GNU.sparse.map=5,5,0,5"), plain("f")),
		one("old sparse file of 1 EiB", "larger than", raw(tar.TypeGNUSparse, "s", 0, binarySize(483, 1<<60))),
		one("old sparse file of 64 MiB out of nothing", "expands more than 200-fold", raw(tar.TypeGNUSparse, "s", 0, binarySize(483, 64<<20))),
	}
}

// hostileLinks are what takes several links.
func hostileLinks(t testing.TB) []hostile {
	chain := func(n int) (all []entry) {
		for i := range n {
			all = append(all, symlink(fmt.Sprint("l", i), fmt.Sprint("l", i+1)))
		}
		return append(all, file(fmt.Sprint("l", n), "x"))
	}
	one := func(what, want string, entries ...entry) hostile {
		return hostile{what, release.FormatTar, pack(t, entries...), want}
	}
	return []hostile{
		one("long chain", "too long a chain", chain(300)...),
		one("short chain", "", chain(5)...),
		one("chain that leaves at its end", "leads out", symlink("a", "b"), symlink("b", "c"), symlink("d/e/c", "../.."), symlink("c", "d/e/c/..")),
		one("chain through twins", "leads out", symlink("a", "d/up"), folder("d", 0o755), symlink("d/up", "."), symlink("x", "a/../.."), symlink("d/up", "..")),
		one("link that leaves, under a name of two lines", "leads out", folder("a/b", 0o755), symlink("a/b/up", "../.."), symlink("l\n\x1b[2J", "a/b/up/../x")),
		one("directory becomes a link", "directory already", file("d/f", "x"), symlink("d", "."), file("d/g", "x")),
		one("link becomes a directory", "symlink already", symlink("d", "e"), folder("d", 0o755)),
		one("file over a link that dangles", "", symlink("f", "nowhere"), file("f", "x")),
		one("file over a link to another", "", file("kept", "x"), symlink("f", "kept"), file("f", "yy")),
		one("hard link, then a file over it", "", file("kept", "x"), hardLink("f", "kept"), file("f", "yy")),
		one("hard link to a link that leads out", "leads out", symlink("s", "../../secret"), hardLink("h", "s")),
		one("hard link below a file", "is a file", file("f", "x"), file("g", "y"), hardLink("f/h", "g")),
	}
}

// hostileStreams are wrong in how they are compressed or end.
func hostileStreams(t testing.TB) []hostile {
	good, other := pack(t, file("f", "x")), pack(t, file("../../secret", "x"))
	gz, zs := release.FormatTarGzip, release.FormatTarZstd
	z := func(b []byte, f release.Format) []byte { return compress(t, b, f) }
	skippable := []byte("\x50\x2a\x4d\x18\x04\x00\x00\x00skip")
	return []hostile{
		{"second archive", release.FormatTar, join(good, other), "garbage behind"},
		{"second archive in a gzip of its own", gz, join(z(good, gz), z(other, gz)), "garbage behind"},
		{"second archive in a zstd of its own", zs, join(z(good, zs), z(other, zs)), "garbage behind"},
		{"one archive in two gzips", gz, join(z(good[:block], gz), z(good[block:], gz)), ""},
		{"one archive in two zstds", zs, join(z(good[:block], zs), skippable, z(good[block:], zs)), ""},
		{"garbage behind a gzip", gz, join(z(good, gz), []byte("garbage")), "what follows the archive's end"},
		{"garbage behind a zstd", zs, join(z(good, zs), []byte("garbage")), "what follows the archive's end"},
		{"gzip in a gzip", gz, z(z(good, gz), gz), "truncated"},
		{"gzip for a zstd", zs, z(good, gz), "magic number mismatch"},
		{"half a gzip", gz, z(good, gz)[:40], "truncated"},
		{"half a zstd", zs, z(good, zs)[:40], "truncated"},
		{"gzip without its checksum", gz, z(good, gz)[:len(z(good, gz))-8], "truncated"},
		{"no end", release.FormatTar, good[:2*block], "no end marker"},
		{"half an end", release.FormatTar, good[:3*block], "truncated"},
		{"wrong checksum", release.FormatTar, join([]byte("g"), good[1:]), "damaged"},
		{"zstd of a window of 1 TiB", zs, []byte("\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00"), "window"},
		{"zstd of one segment of 1 TiB", zs, []byte("\x28\xb5\x2f\xfd\xe0\x00\x00\x00\x00\x00\x01\x00\x00\x01\x00\x00"), "exceeds configured limit"},
		{"zstd that repeats itself", zs, bytes.Repeat(z(make([]byte, 1<<18), zs), 3), "empty"},
	}
}

// bombs are small and become large. They take a while to make.
func bombs(t testing.TB) []hostile {
	zeros := make([]byte, 40<<20)
	inFile := join(raw(tar.TypeReg, "zeros", int64(len(zeros))), zeros, tarEnd)
	behind := join(pack(t, file("f", "x")), zeros)
	inHeaders := join(bytes.Repeat(pax("comment="+strings.Repeat("x", 1<<19)), 80), plain("f"), tarEnd)
	var all []hostile
	for what, archive := range map[string][]byte{"a file": inFile, "what is behind the end": behind, "headers": inHeaders} {
		for _, format := range []release.Format{release.FormatTarGzip, release.FormatTarZstd} {
			all = append(all, hostile{fmt.Sprintf("%s bomb in %s", format, what), format, compress(t, archive, format), "expands more than 200-fold"})
		}
	}
	return all
}

// TestCorpus unpacks all of it. What is refused is gone when it has been
// removed, as who unpacks does, and nothing was changed beside it.
func TestCorpus(t *testing.T) {
	limits := DefaultLimits()
	limits.Slack = 1 << 20
	for _, c := range append(corpus(t), bombs(t)...) {
		t.Run(c.what, func(t *testing.T) {
			dir, check := outside(t)
			err := Unpack(t.Context(), bytes.NewReader(c.archive), c.format, dir, limits)
			if n := sizeOf(t, dir); n > limits.Slack+limits.Ratio*int64(len(c.archive)) {
				t.Errorf("%d bytes were written", n)
			}
			switch {
			case c.want != "":
				wantError(t, err, "unpack", c.want)
				if strings.ContainsFunc(err.Error(), unicode.IsControl) {
					t.Errorf("error has control characters: %q", err)
				}
			case err != nil:
				t.Error(err)
			default:
				checkLinksStay(t, dir)
			}
			if err := Remove(dir); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(dir); !os.IsNotExist(err) {
				t.Errorf("after Remove: %v", err)
			}
			check()
		})
	}
}

// TestHarmlessCorpus holds what became of entries that come twice.
func TestHarmlessCorpus(t *testing.T) {
	want := map[string]map[string]string{
		"a twin":                         {"f": "x"},
		"file over a link that dangles":  {"f": "x"},
		"file over a link to another":    {"f": "yy", "kept": "x"},
		"hard link, then a file over it": {"f": "yy", "kept": "x"},
		"names that differ in case":      {"d/f": "x", "E/f": "x", "D/f": "x"},
	}
	for _, c := range corpus(t) {
		if want[c.what] == nil {
			continue
		}
		dir := t.TempDir()
		if err := unpack(t, c.archive, dir); err != nil {
			t.Errorf("%s: %v", c.what, err)
		}
		for name, content := range want[c.what] {
			if got := read(t, dir, filepath.FromSlash(name)); got != content {
				t.Errorf("%s: %s holds %q, want %q", c.what, name, got, content)
			}
		}
		delete(want, c.what)
	}
	if len(want) > 0 {
		t.Errorf("not in the corpus: %v", want)
	}
}
