package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// plantSource makes a checkout of crow's with files of the given sizes, in
// bytes, and makes it the working directory.
func plantSource(t *testing.T, files map[string]int64) {
	t.Helper()
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "go.mod"), []byte("module crow\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, size := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil { // sparse
			t.Fatal(err)
		}
	}
	t.Chdir(root)
}

func TestDemoPacksTheSource(t *testing.T) {
	plantSource(t, map[string]int64{
		"main.go": 7, "peer/peer.go": 70_000, ".git/objects/pack": 2 * maxSource, "bin/crow": 2 * maxSource, "peer/bin/kept": 1,
	})
	dir := filepath.Join(t.TempDir(), "source")
	path, err := defaultArtifact(dir)
	if err != nil || path != dir {
		t.Fatalf("got %q, %v", path, err)
	}
	got := map[string]int64{}
	for _, pattern := range []string{"*", "*/*", "*/*/*"} {
		paths, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, p := range paths {
			if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() {
				got[p[len(dir)+1:]] = fi.Size()
			}
		}
	}
	if want := map[string]int64{"go.mod": 12, "main.go": 7, "peer/peer.go": 70_000, "peer/bin/kept": 1}; !maps.Equal(got, want) {
		t.Errorf("packed %v, want %v", got, slices.Sorted(maps.Keys(want)))
	}
}

func TestDemoOfALargeCheckoutPacksTheBinary(t *testing.T) {
	plantSource(t, map[string]int64{"data/dump": maxSource, "main.go": 7})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if path, err := defaultArtifact(filepath.Join(t.TempDir(), "source")); err != nil || path != self {
		t.Errorf("got %q, %v; want %q", path, err, self)
	}
}
