package build

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// node is a file in a test's tree.
type node struct {
	mode    fs.FileMode
	content string // or target of a link
}

// odd are names that tars have trouble with.
var odd = []string{
	"plain", "with space", "new\nline", "tab\t", "quote'\"", "back\\slash", "*", "-rf", "...", "zürich", "日本", "\xff\xfe", "=", "10 path=x",
	strings.Repeat("n", 99), strings.Repeat("n", 100), strings.Repeat("n", 101), strings.Repeat("n", 255),
}

func plant(t testing.TB, dir string, tree map[string]node, names []string) {
	t.Helper()
	for _, name := range names {
		n, path := tree[name], filepath.Join(dir, name)
		mkdir(t, filepath.Dir(path))
		var err error
		switch n.mode.Type() {
		case fs.ModeDir:
			err = os.MkdirAll(path, 0o755)
		case fs.ModeSymlink:
			err = os.Symlink(n.content, path)
		default:
			err = os.WriteFile(path, []byte(n.content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names { // at last: what is inside a directory changes its time
		if n := tree[name]; n.mode.Type() != fs.ModeSymlink {
			if err := os.Chmod(filepath.Join(dir, name), n.mode.Perm()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// pack reads all of a directory, in reads of all sizes.
func pack(t testing.TB, dir string) []byte {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	b, err := io.ReadAll(iotest.HalfReader(s))
	if err != nil {
		t.Fatal(err)
	}
	if s.Size() != int64(len(b)) {
		t.Fatalf("size %d, read %d", s.Size(), len(b))
	}
	return b
}

// unpack reads a tar's entries back.
func unpack(t testing.TB, b []byte) (map[string]node, []*tar.Header) {
	t.Helper()
	tree, r := map[string]node{}, tar.NewReader(bytes.NewReader(b))
	var headers []*tar.Header
	for {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return tree, headers
		}
		if err != nil {
			t.Fatal(err)
		}
		headers = append(headers, h)
		n := node{mode: h.FileInfo().Mode(), content: h.Linkname}
		if h.Typeflag == tar.TypeReg {
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			n.content = string(content)
		}
		tree[strings.TrimSuffix(h.Name, "/")] = n
	}
}

func sample() map[string]node {
	tree := map[string]node{
		"bin":          {mode: fs.ModeDir | 0o755},
		"bin/app":      {mode: 0o755, content: strings.Repeat("code", 1000)},
		"bin/app.conf": {mode: 0o640, content: "a=b\n"},
		"bin-old":      {mode: 0o600, content: "sorts between bin and bin/app by bytes"},
		"empty":        {mode: fs.ModeDir | 0o700},
		"none":         {mode: 0o444},
		"block":        {mode: 0o644, content: strings.Repeat("b", tarBlock)},
		"current":      {mode: fs.ModeSymlink | 0o777, content: "bin/app"},
		"bin/up":       {mode: fs.ModeSymlink | 0o777, content: "../current"},
		"beneath":      {mode: fs.ModeSymlink | 0o777, content: "none/x"},
		"dangling":     {mode: fs.ModeSymlink | 0o777, content: strings.Repeat("nowhere/", 40) + "ü"},
	}
	for _, name := range odd {
		tree["odd/"+name] = node{mode: 0o644, content: name}
	}
	tree["odd"] = node{mode: fs.ModeDir | 0o755}
	deep := strings.Repeat("deep/", 60) + "file"
	for at := range deep {
		if deep[at] == '/' {
			tree[deep[:at]] = node{mode: fs.ModeDir | 0o755}
		}
	}
	tree[deep] = node{mode: 0o644, content: "down here"}
	return tree
}

func names(tree map[string]node) []string {
	var all []string
	for name := range tree {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}
