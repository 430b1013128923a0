package stage

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/release"
)

// makeTree writes what builds are made of: programs, links of all kinds, modes
// of all kinds, odd names, empty files and folders, files of some size.
func makeTree(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]fs.FileMode{
		"bin/server": 0o755, "bin/tool": 0o711, "etc/conf.d/10-a b.conf": 0o640, "etc/secret": 0o400, "empty": 0o644,
		"share/ünïcode \u202e\n": 0o666, "share/" + strings.Repeat("long", 60): 0o444, "public/f": 0o604, "ro/sub/f": 0o444,
	} {
		name = filepath.Join(dir, name)
		must(os.MkdirAll(filepath.Dir(name), 0o755))
		content := bytes.Repeat([]byte(name), 5000)
		if filepath.Base(name) == "empty" {
			content = nil
		}
		must(os.WriteFile(name, content, 0o600))
		must(os.Chmod(name, mode))
		must(os.Chtimes(name, then, then))
	}
	must(os.Link(filepath.Join(dir, "bin/server"), filepath.Join(dir, "bin/zz-same")))
	for name, target := range map[string]string{
		"current": "bin/server", "bin/up": "../etc", "etc/dangling": "nowhere/at/all", "etc/self": ".", "lib64": "share",
	} {
		must(os.Symlink(target, filepath.Join(dir, name)))
	}
	must(os.MkdirAll(filepath.Join(dir, "hollow"), 0o750))
	must(os.Chmod(filepath.Join(dir, "public"), 0o777|fs.ModeSticky))
	must(os.Chmod(filepath.Join(dir, "ro/sub"), 0o555))
	must(os.Chmod(filepath.Join(dir, "ro"), 0o500))
	must(os.Chmod(dir, 0o751))
	return dir
}

func TestRealTrees(t *testing.T) {
	tree := makeTree(t)
	want := snapshot(t, tree)
	packers := map[string]func(t *testing.T) []byte{
		"archive/tar": func(t *testing.T) []byte { return packDir(t, tree) },
		"GNU tar":     func(t *testing.T) []byte { return gnuTar(t, tree, "--format=gnu") },
		"GNU tar pax": func(t *testing.T) []byte { return gnuTar(t, tree, "--format=pax") },
		"GNU tar by name, with doubles": func(t *testing.T) []byte {
			return gnuTar(t, tree, "--format=gnu", "bin", "./current", "bin/server")
		},
	}
	for name, packer := range packers {
		archive := packer(t)
		for _, format := range archiveFormats {
			t.Run(name+"/"+format.String(), func(t *testing.T) {
				dir := t.TempDir()
				err := Unpack(t.Context(), bytes.NewReader(compress(t, archive, format)), format, dir, DefaultLimits())
				if err != nil {
					t.Fatal(err)
				}
				if got := snapshot(t, dir); got != want {
					t.Errorf("unpacked:\n%.4000s\nwant:\n%.4000s", got, want)
				}
				if !sameInode(t, filepath.Join(dir, "bin/server"), filepath.Join(dir, "bin/zz-same")) && strings.HasPrefix(name, "GNU") {
					t.Error("hard link became a copy")
				}
			})
		}
	}
}

func sameInode(t *testing.T, a, b string) bool {
	t.Helper()
	x, err := os.Stat(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := os.Stat(b)
	if err != nil {
		t.Fatal(err)
	}
	return os.SameFile(x, y)
}

// packDir packs as archive/tar has it: hard links become copies.
func packDir(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	top, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: int64(top.Mode().Perm())}); err != nil {
		t.Fatal(err)
	}
	if err := w.AddFS(os.DirFS(dir)); err != nil { // leaves the top out
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gnuTar packs with the system's tar: the names, and in any case the whole
// folder, so that named files come twice.
func gnuTar(t *testing.T, dir, format string, names ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath("tar"); err != nil {
		t.Skip("needs tar")
	}
	args := append([]string{"-c", format, "-C", dir}, names...)
	out, err := exec.Command("tar", append(args, ".")...).Output()
	if err != nil {
		t.Fatalf("tar: %v", err)
	}
	return out
}

// TestGNUTarCzf takes the way that most builds go.
func TestGNUTarCzf(t *testing.T) {
	tree, at := makeTree(t), filepath.Join(t.TempDir(), "b.tar.gz")
	if out, err := exec.Command("tar", "czf", at, "-C", filepath.Dir(tree), "tree").CombinedOutput(); err != nil {
		t.Skipf("needs tar and gzip: %v: %s", err, out)
	}
	f, err := os.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	dir := t.TempDir()
	if err := Unpack(t.Context(), f, release.FormatTarGzip, dir, DefaultLimits()); err != nil {
		t.Fatal(err)
	}
	if got, want := snapshot(t, filepath.Join(dir, "tree")), snapshot(t, tree); got != want {
		t.Errorf("unpacked:\n%.4000s\nwant:\n%.4000s", got, want)
	}
}

func TestSparseFile(t *testing.T) {
	tree := t.TempDir()
	f, err := os.Create(filepath.Join(tree, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("end"), 3<<20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"--format=gnu", "--format=pax"} {
		out, err := exec.Command("tar", "-c", format, "--sparse", "-C", tree, ".").Output()
		if err != nil {
			t.Skipf("needs tar: %v", err)
		}
		if len(out) > 1<<20 {
			t.Fatalf("tar of %d bytes is not sparse", len(out))
		}
		dir := t.TempDir()
		if err := unpack(t, out, dir); err != nil {
			t.Fatal(err)
		}
		if read(t, dir, "sparse") != read(t, tree, "sparse") {
			t.Errorf("%s: sparse file differs", format)
		}
		small := Limits{Entries: 10, Bytes: 1 << 20, Depth: 10, NameLen: 100, Ratio: 200, Slack: 64 << 20}
		err = Unpack(t.Context(), bytes.NewReader(out), release.FormatTar, t.TempDir(), small)
		wantError(t, err, "sparse", "larger than")
	}
}

func TestUmaskDoesNotMatter(t *testing.T) {
	tree := makeTree(t)
	archive := packDir(t, tree)
	defer unix.Umask(unix.Umask(0o777))
	dir := filepath.Join(filepath.Dir(tree), "out")
	if err := os.Mkdir(dir, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o751); err != nil {
		t.Fatal(err)
	}
	if err := unpack(t, append([]byte(nil), archive...), dir); err != nil {
		t.Fatal(err)
	}
	if got, want := snapshot(t, dir), snapshot(t, tree); got != want {
		t.Errorf("unpacked:\n%.4000s\nwant:\n%.4000s", got, want)
	}
	implied := filepath.Join(filepath.Dir(tree), "implied")
	if err := os.Mkdir(implied, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(implied, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unpack(t, pack(t, file("d/e/f", "x")), implied); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(implied, "d/e"))
	if err != nil || info.Mode().Perm() != impliedMode {
		t.Errorf("implied directory: %v, %v", info.Mode(), err)
	}
}

// asUser runs f as a user without root's rights over files, in a thread that
// ends with it.
func asUser(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread is spoilt
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&h, &none[0]); err != nil {
			t.Errorf("drop capabilities: %v", err)
			return
		}
		f()
	}()
	<-done
}

func TestReadOnlyDirectoriesWithoutRoot(t *testing.T) {
	archive := pack(t, folder("./", 0o500), folder("ro/", 0o555), folder("ro/none/", 0), file("ro/none/f", "x"),
		folder("shut/", 0), folder("shut/in/", 0o500), // children must get their modes first
		symlink("l", "ro/none/f"), file("ro/g", "y"), folder("later/", 0o500), folder("later/", 0o755))
	dir := filepath.Join(t.TempDir(), "release")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	asUser(t, func() {
		if err := unpack(t, archive, dir); err != nil {
			t.Error(err)
		}
		if _, err := os.ReadFile(filepath.Join(dir, "ro/none/f")); !os.IsPermission(err) {
			t.Errorf("file in a directory of mode 0: %v, want no permission", err)
		}
	})
	for name, want := range map[string]fs.FileMode{".": 0o700, "ro": 0o555, "ro/none": 0, "shut": 0, "shut/in": 0o500, "later": 0o755} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has mode %v, want %v", name, got, want)
		}
	}
	asUser(t, func() {
		if err := os.RemoveAll(dir); !os.IsPermission(err) {
			t.Errorf("RemoveAll: %v; if that works, Remove is needless", err)
		}
		if err := Remove(dir); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Lstat(dir); !os.IsNotExist(err) {
		t.Errorf("after Remove: %v", err)
	}
}

// TestLaterEntriesReplace holds that what is replaced is never written into.
func TestLaterEntriesReplace(t *testing.T) {
	dir := t.TempDir()
	err := unpack(t, pack(t,
		file("f", "old"), hardLink("g", "f"), file("f", "new"),
		file("target", "kept"), symlink("l", "target"), file("l", "own"),
		file("s", "x"), symlink("s", "target"), symlink("s", "f"), hardLink("f", "f"),
		fileMode("run", "x", 0o600), fileMode("run", "y", 0o755),
	), dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"f": "new", "g": "old", "target": "kept", "l": "own", "s": "new", "run": "y"} {
		if got := read(t, dir, name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if info, err := os.Lstat(filepath.Join(dir, "l")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("l: %v, %v", info.Mode(), err)
	}
}

func TestSetGroupIDOfDirectoriesIsDropped(t *testing.T) {
	dir := t.TempDir()
	if err := unpack(t, pack(t, folder("d", 0o6775), file("d/f", "x")), dir); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "d")); err != nil || info.Mode() != fs.ModeDir|0o775 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestOddTimes(t *testing.T) {
	for _, at := range []time.Time{time.Unix(0, 0), time.Unix(-1e6, 0), time.Unix(1<<40, 0)} {
		e := file("f", "x")
		e.header.ModTime, e.header.Format = at, tar.FormatPAX
		if err := unpack(t, pack(t, e), t.TempDir()); err != nil {
			t.Errorf("%v: %v", at, err)
		}
	}
}
