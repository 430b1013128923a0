package stage

import (
	"archive/tar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// outside makes a folder that an archive must not touch with the folder to
// unpack into in its midst, and returns that and a check.
func outside(t testing.TB) (inside string, check func()) {
	t.Helper()
	top := t.TempDir()
	inside = filepath.Join(top, "a", "inside")
	if err := os.MkdirAll(inside, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"secret", "a/secret"} {
		if err := os.WriteFile(filepath.Join(top, name), []byte("untouched"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before := snapshot(t, top)
	return inside, func() {
		t.Helper()
		if err := Remove(inside); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		if after := snapshot(t, top); after != before {
			t.Errorf("outside changed:\n%s\nwas:\n%s", after, before)
		}
	}
}

func TestHostileArchives(t *testing.T) {
	deep := strings.Repeat("d/", 200) + "f"
	long := strings.Repeat(strings.Repeat("n", 200)+"/", 20) + "f"
	for _, c := range []struct {
		what    string
		entries []entry
		want    []string // parts of the error
	}{
		{"dot dot", []entry{file("../../etc/passwd", "x")}, []string{`"../../etc/passwd"`, `".."`}},
		{"dot dot within", []entry{file("a/../b", "x")}, []string{`"a/../b"`, `".."`}},
		{"dot dot at the end", []entry{folder("a/..", 0o755)}, []string{`".."`}},
		{"dot dot alone", []entry{folder("..", 0o777)}, []string{`".."`}},
		{"absolute file", []entry{file("/etc/passwd", "x")}, []string{`"/etc/passwd"`, "absolute"}},
		{"absolute directory", []entry{folder("/", 0o777)}, []string{"absolute"}},
		{"absolute symlink", []entry{symlink("l", "/etc")}, []string{`"l"`, "absolute", "/etc"}},
		{"leaving symlink", []entry{symlink("a/l", "../../x")}, []string{`"a/l"`, "leads out", "../../x"}},
		{"leaving symlink, roundabout", []entry{symlink("l", "a/../../x")}, []string{`"l"`, "leads out"}},
		{"leaving by way of another link",
			[]entry{folder("a/b", 0o755), symlink("a/b/up", "../.."), symlink("l", "a/b/up/../x")}, []string{`"l"`, "leads out"}},
		{"the same, links first",
			[]entry{symlink("l", "a/b/up/../x"), symlink("a/b/up", "../..")}, []string{`"l"`, "leads out"}},
		{"through a symlink", []entry{folder("d", 0o755), symlink("l", "d"), file("l/f", "x")}, []string{`"l/f"`, "l\" is a symlink"}},
		{"through a symlink, directory", []entry{symlink("l", "."), folder("l/d", 0o755)}, []string{`"l/d"`, "symlink"}},
		{"directory on a symlink", []entry{folder("d", 0o755), symlink("l", "d"), folder("l", 0o700)}, []string{`"l"`, "symlink already"}},
		{"through a file", []entry{file("f", "x"), file("f/g", "x")}, []string{`"f/g"`, "is a file"}},
		{"directory on a file", []entry{file("f", "x"), folder("f", 0o755)}, []string{`"f"`, "file already"}},
		{"file on a directory", []entry{folder("d", 0o755), file("d", "x")}, []string{`"d"`, "directory already"}},
		{"symlink on a directory", []entry{folder("d", 0o755), symlink("d", "x")}, []string{`"d"`, "directory already"}},
		{"symlink on the top", []entry{symlink(".", "x")}, []string{`"."`, "directory's"}},
		{"loop", []entry{symlink("l", "m"), symlink("m", "l")}, []string{`"l"`, "loop"}},
		{"hard link outside", []entry{hardLink("l", "../secret")}, []string{`"l"`, "hard link", `"../secret"`, `".."`}},
		{"hard link, absolute", []entry{hardLink("l", "/etc/passwd")}, []string{`"l"`, "absolute"}},
		{"hard link to nothing", []entry{hardLink("l", "later"), file("later", "x")}, []string{`"l"`, "not unpacked before"}},
		{"hard link into nothing", []entry{hardLink("l", "d/later")}, []string{`"l"`, "not unpacked before"}},
		{"hard link to a directory", []entry{folder("d", 0o755), hardLink("l", "d")}, []string{`"l"`, "is a directory"}},
		{"hard link to the top", []entry{hardLink("l", ".")}, []string{`"l"`, "is a directory"}},
		{"hard link to a symlink", []entry{file("f", "x"), symlink("s", "f"), hardLink("l", "s")}, []string{`"l"`, "is a symlink"}},
		{"hard link through a symlink", []entry{file("d/f", "x"), symlink("s", "d"), hardLink("l", "s/f")}, []string{`"l"`, "s\" is a symlink"}},
		{"character device", []entry{special(tar.TypeChar, "null")}, []string{`"null"`, "character device"}},
		{"block device", []entry{special(tar.TypeBlock, "sda")}, []string{`"sda"`, "block device"}},
		{"FIFO", []entry{special(tar.TypeFifo, "pipe")}, []string{`"pipe"`, "FIFO"}},
		{"contiguous file", []entry{special(tar.TypeCont, "c")}, []string{`"c"`, "contiguous"}},
		{"unknown type", []entry{special('Z', "z")}, []string{`"z"`, "unknown type", "'Z'"}},
		{"set-user-id", []entry{fileMode("su", "x", 0o4755)}, []string{`"su"`, "set-user-id"}},
		{"set-group-id", []entry{fileMode("sg", "x", 0o2755)}, []string{`"sg"`, "set-group-id"}},
		{"sticky file", []entry{fileMode("st", "x", 0o1644)}, []string{`"st"`, "sticky"}},
		{"deep", []entry{file(deep, "x")}, []string{"201 directories deep"}},
		{"long name", []entry{file(long, "x")}, []string{"name is 4021 bytes long"}},
		{"long component", []entry{file(strings.Repeat("n", 256), "x")}, []string{"component of 256 bytes"}},
		{"long target", []entry{symlink("l", strings.Repeat("n/", 1500))}, []string{`"l"`, "target is 3000 bytes"}},
		{"no target", []entry{symlink("l", "")}, []string{`"l"`, "without a target"}},
		{"line breaks in the name", []entry{file("a\nb/../\x1b[2J", "x")}, []string{`a\nb`, `\x1b`}},
		{"nothing", nil, []string{"empty"}},
		{"only the top", []entry{folder("./", 0o755)}, []string{"empty"}},
		{"only a global header", []entry{comment()}, []string{"empty"}},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir, check := outside(t)
			wantError(t, unpack(t, pack(t, c.entries...), dir), append(c.want, "unpack")...)
			check()
		})
	}
}

// comment is the global header that git archive begins with.
func comment() entry {
	return entry{tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "pax_global_header",
		PAXRecords: map[string]string{"comment": "0123"}}, ""}
}

// TestNothingOutsideChanges packs entries at random from words that make
// trouble with one another.
func TestNothingOutsideChanges(t *testing.T) {
	words := rapid.SampledFrom([]string{"a", "b", "l", ".", "..", "", "inside", "secret"})
	names := rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(words, 1, 4).Draw(t, "parts"), "/")
	})
	flags := rapid.SampledFrom([]byte{tar.TypeReg, tar.TypeReg, tar.TypeDir, tar.TypeDir, tar.TypeSymlink, tar.TypeSymlink, tar.TypeLink})
	entries := rapid.Custom(func(t *rapid.T) entry {
		h := tar.Header{Typeflag: flags.Draw(t, "type"), Name: names.Draw(t, "name"), Mode: rapid.Int64Range(0, 0o777).Draw(t, "mode")}
		if h.Typeflag == tar.TypeSymlink || h.Typeflag == tar.TypeLink {
			h.Linkname = names.Draw(t, "target")
		}
		if h.Typeflag != tar.TypeDir { // archive/tar does not pack such
			h.Name = strings.TrimRight(h.Name, "/")
		}
		e := entry{h, ""}
		if h.Typeflag == tar.TypeReg {
			e.header.Size, e.content = 5, "wrote"
		}
		return e
	})
	dir, check := outside(t)
	unpacked := 0
	rapid.Check(t, func(r *rapid.T) {
		archive := pack(t, rapid.SliceOfN(entries, 1, 6).Draw(r, "entries")...)
		if err := unpack(t, archive, dir); err == nil {
			unpacked++
			checkLinksStay(t, dir)
		}
		check()
		if t.Failed() {
			r.FailNow()
		}
	})
	if unpacked == 0 {
		t.Error("every archive was refused")
	}
}

// checkLinksStay asks the kernel where every symlink leads.
func checkLinksStay(t testing.TB, dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for ; len(names) > 0; names = names[1:] {
		info, err := os.Lstat(names[0])
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			below, err := filepath.Glob(filepath.Join(names[0], "*"))
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, below...)
		}
		at, err := filepath.EvalSymlinks(names[0])
		if err == nil && at != dir && !strings.HasPrefix(at, dir+"/") {
			t.Errorf("%s leads to %s", names[0], at)
		}
	}
}
