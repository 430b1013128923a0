package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

func TestDocuments(t *testing.T) {
	d := open(t, t.TempDir())
	if _, err := d.GetDoc("deploy", "d-1"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("GetDoc of nothing: %v, want ErrNotFound", err)
	}
	if names, err := d.ListDocs("deploy"); err != nil || len(names) != 0 {
		t.Fatalf("ListDocs of nothing = %v, %v", names, err)
	}
	for _, name := range []string{"d-2", "d-1", "web@1.42.0+build~3"} {
		for _, text := range []string{"first", "second"} {
			if err := d.PutDoc("deploy", name, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := d.GetDoc("deploy", name); err != nil || string(b) != "second" {
			t.Fatalf("GetDoc(%s) = %q, %v", name, b, err)
		}
	}
	want := []string{"d-1", "d-2", "web@1.42.0+build~3"}
	if names, err := d.ListDocs("deploy"); err != nil || !slices.Equal(names, want) {
		t.Fatalf("ListDocs = %v, %v, want %v", names, err, want)
	}
	for range 2 { // the second time it is not there
		if err := d.DeleteDoc("deploy", "d-1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := d.GetDoc("deploy", "d-1"); !errors.Is(err, ErrNotFound) {
		t.Fatalf("GetDoc after DeleteDoc: %v, want ErrNotFound", err)
	}
	if err := d.DeleteDoc("nokind", "d-1"); err != nil {
		t.Fatalf("DeleteDoc of a kind that never was: %v", err)
	}
}

func TestNamesCannotEscape(t *testing.T) {
	dir := t.TempDir()
	d := open(t, filepath.Join(dir, "store"))
	long := strings.Repeat("x", 300)
	for _, bad := range []string{"", ".", "..", "../x", "a/b", "/etc/passwd", ".hidden", "a b", "a\x00b", "-x", "ä", "a\n", long} {
		for _, pair := range [][2]string{{bad, "name"}, {"kind", bad}} {
			_, getErr := d.GetDoc(pair[0], pair[1])
			for verb, err := range map[string]error{
				"PutDoc": d.PutDoc(pair[0], pair[1], nil), "GetDoc": getErr, "DeleteDoc": d.DeleteDoc(pair[0], pair[1]),
			} {
				if err == nil || errors.Is(err, ErrNotFound) {
					t.Errorf("%s(%.20q, %.20q): %v, want a refusal", verb, pair[0], pair[1], err)
				}
			}
		}
		if _, err := d.ListDocs(bad); err == nil {
			t.Errorf("ListDocs(%.20q) was not refused", bad)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Fatalf("beside the store: %v, %v", entries, err)
	}
}

func FuzzDocPath(f *testing.F) {
	f.Add("deploy", "d-1")
	f.Add("..", "../../etc/passwd")
	d := &Dir{path: "/store"}
	f.Fuzz(func(t *testing.T, kind, name string) {
		path, err := d.docPath(kind, name)
		if err != nil {
			return
		}
		if filepath.Base(path) != name || filepath.Dir(path) != "/store/docs/"+kind || filepath.Dir(filepath.Dir(path)) != "/store/docs" {
			t.Fatalf("docPath(%q, %q) = %q", kind, name, path)
		}
	})
}

func TestDocumentsAreBounded(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.PutDoc("torrent", "big", make([]byte, MaxDocLen+1)); err == nil {
		t.Error("PutDoc took too large a document")
	}
	if err := d.PutDoc("torrent", "grown", nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "docs", "torrent", "grown"), MaxDocLen+1); err != nil {
		t.Fatal(err)
	}
	if _, err := d.GetDoc("torrent", "grown"); err == nil {
		t.Error("GetDoc read too large a document")
	}
}

func TestForeignFilesAreNotListed(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	if err := d.PutDoc("host", "web-1", nil); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, "docs", "host")
	err := errors.Join(os.WriteFile(filepath.Join(folder, ".swp"), nil, 0o600), os.Mkdir(filepath.Join(folder, "lost"), 0o700))
	if err != nil {
		t.Fatal(err)
	}
	if names, err := d.ListDocs("host"); err != nil || !slices.Equal(names, []string{"web-1"}) {
		t.Fatalf("ListDocs = %v, %v", names, err)
	}
}

// Readers beside many writers of one name see one of the documents, whole.
func TestConcurrentWritersAreAtomic(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	doc := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i)}, 10_000+i) }
	if err := d.PutDoc("state", "s", doc(0)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 10 {
				if err := d.PutDoc("state", "s", doc(i)); err != nil {
					t.Error(err)
				}
				if err := d.PutDoc(fmt.Sprintf("kind-%d", i), "s", nil); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() {
			for range 50 {
				b, err := d.GetDoc("state", "s")
				if err != nil || !bytes.Equal(b, doc(int(b[0]-'a'))) {
					t.Errorf("read a torn document of %d bytes: %v", len(b), err)
				}
			}
		})
	}
	wg.Wait()
	if n := tempFiles(t, dir); n != 0 {
		t.Errorf("%d temporary files are left, want none", n)
	}
}
