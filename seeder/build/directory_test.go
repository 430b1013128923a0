package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestPackKeepsTheTree(t *testing.T) {
	dir, tree := t.TempDir(), sample()
	plant(t, dir, tree, names(tree))
	got, headers := unpack(t, pack(t, dir))
	for name, want := range tree {
		if got[name] != want {
			t.Errorf("%q: got %v, want %v", name, got[name], want)
		}
	}
	if len(got) != len(tree) {
		t.Errorf("%d entries, want %d", len(got), len(tree))
	}
	for _, h := range headers {
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" || !h.ModTime.Equal(packTime) {
			t.Errorf("%q: owner or time: %+v", h.Name, h)
		}
	}
	sorted := slices.IsSortedFunc(headers, func(a, b *tar.Header) int {
		return slices.Compare(strings.Split(strings.Trim(a.Name, "/"), "/"), strings.Split(strings.Trim(b.Name, "/"), "/"))
	})
	if !sorted {
		t.Error("entries are not in the order of paths")
	}
}

// What the same tree looks like on disk, and where, must not matter.
func TestPackIsDeterministic(t *testing.T) {
	tree := sample()
	var packed [2][]byte
	for i := range packed {
		dir, order := t.TempDir(), names(tree)
		if i == 1 {
			slices.Reverse(order)
		}
		plant(t, dir, tree, order)
		if err := os.Chtimes(filepath.Join(dir, "bin/app"), time.Time{}, time.Unix(int64(i)*1e8, 5)); err != nil {
			t.Fatal(err)
		}
		packed[i] = pack(t, dir)
	}
	if !bytes.Equal(packed[0], packed[1]) {
		t.Error("the same tree gave two tars")
	}
}

// tar of the system must agree on what is inside.
func TestPackIsReadByTar(t *testing.T) {
	program, err := exec.LookPath("tar")
	if err != nil {
		t.Skip("no tar here")
	}
	dir, out, tree := t.TempDir(), t.TempDir(), sample()
	plant(t, dir, tree, names(tree))
	packed := pack(t, dir)
	cmd := exec.Command(program, "-xpf", "-", "--no-same-owner", "-C", out)
	cmd.Stdin = bytes.NewReader(packed)
	if msg, err := cmd.CombinedOutput(); err != nil || len(msg) > 0 {
		t.Fatalf("tar: %v: %s", err, msg)
	}
	if !bytes.Equal(pack(t, out), packed) {
		t.Error("what tar unpacked does not pack to the same")
	}
}

func TestPackSplitsHardLinks(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), []byte("same"))
	if err := os.Link(filepath.Join(dir, "a"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	got, _ := unpack(t, pack(t, dir))
	if want := (node{mode: 0o644, content: "same"}); got["a"] != want || got["b"] != want {
		t.Errorf("got %v", got)
	}
}

func TestPackKeepsSpecialBits(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "a"))
	if err := syscall.Chmod(filepath.Join(dir, "a"), 0o3755); err != nil {
		t.Fatal(err)
	}
	if _, h := unpack(t, pack(t, dir)); h[0].Mode != 0o3755 {
		t.Errorf("mode %o", h[0].Mode)
	}
}

func TestPackRefusesSpecialFiles(t *testing.T) {
	dir := t.TempDir()
	mkdir(t, filepath.Join(dir, "sub"))
	if err := syscall.Mkfifo(filepath.Join(dir, "sub/pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Open(dir)
	if !errors.Is(err, ErrUnusable) || !strings.Contains(err.Error(), "sub/pipe is a named pipe") {
		t.Errorf("error %v", err)
	}
}

func TestPackRandomTrees(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp(t.TempDir(), "")
		if err != nil {
			rt.Fatal(err)
		}
		perm := rapid.Map(rapid.IntRange(0, 0o377), func(m int) fs.FileMode { return fs.FileMode(m | 0o400) })
		part := rapid.SampledFrom(append(odd, "a", "b", "c"))
		tree := map[string]node{}
		for range rapid.IntRange(1, 12).Draw(rt, "files") {
			parent := rapid.SampledFrom([]string{"", "d1/", "d2/", "d1/d3/"}).Draw(rt, "parent")
			n := node{mode: perm.Draw(rt, "mode"), content: strings.Repeat("x", rapid.IntRange(0, 2000).Draw(rt, "size"))}
			if rapid.Bool().Draw(rt, "link") {
				n = node{mode: fs.ModeSymlink | 0o777, content: "gone/" + part.Draw(rt, "target")}
			}
			tree[parent+part.Draw(rt, "name")] = n
			for at := range parent {
				if parent[at] == '/' {
					tree[parent[:at]] = node{mode: fs.ModeDir | 0o755}
				}
			}
		}
		plant(t, dir, tree, names(tree))
		if got, _ := unpack(t, pack(t, dir)); !reflect.DeepEqual(got, tree) {
			rt.Fatalf("got %v, want %v", got, tree)
		}
	})
}

// One file is open at a time, and none at the end, nor after a refusal.
func TestPackClosesFiles(t *testing.T) {
	dir := t.TempDir()
	for i := range 50 {
		write(t, fmt.Sprintf("%s/%02d", dir, i), []byte("content"))
	}
	before := openFiles(t)
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, s, s.Size()-1); err != nil {
		t.Fatal(err)
	}
	if n := openFiles(t) - before; n > 2 {
		t.Errorf("%d files are open while it is read", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(dir+"/pipe", 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil {
		t.Error("a pipe was packed")
	}
	if n := openFiles(t) - before; n > 0 {
		t.Errorf("%d files stayed open", n)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("cannot count open files here: %v", err)
	}
	return len(open)
}

func TestLargeDirectoryStaysSmall(t *testing.T) {
	const files, limit = 20_000, 24 << 20
	dir := t.TempDir()
	for i := range files {
		if i%100 == 0 {
			mkdir(t, fmt.Sprintf("%s/%03d", dir, i/100))
		}
		write(t, fmt.Sprintf("%s/%03d/file-%05d", dir, i/100, i), []byte("content"))
	}
	write(t, filepath.Join(dir, "big"), nil)
	if err := os.Truncate(filepath.Join(dir, "big"), 64<<20); err != nil {
		t.Fatal(err)
	}
	before := heap()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n, err := io.Copy(io.Discard, s)
	if err != nil || n != s.Size() {
		t.Fatalf("read %d of %d: %v", n, s.Size(), err)
	}
	if grown := heap() - before; grown > limit {
		t.Errorf("%d bytes are held for %d files", grown, files)
	}
	runtime.KeepAlive(s)
}

// heap is what is reachable, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
