package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"crow/internal/release"
)

func TestTargetsFromFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(path, []byte("# the web hosts\nweb-1\n\n  web-2  # the old one\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := exprsOf("--target", []string{"role=db,zone!=b", "@" + path, "name=api-*"})
	want := []release.Expr{"role=db,zone!=b", "name=web-1", "name=web-2", "name=api-*"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestTargetFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(path, []byte(strings.Repeat("web-1\n", maxTargetFile/6+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exprsOf("--target", []string{"@" + path}); codeFor(err) != exitUsage || !strings.Contains(err.Error(), "over 4194304 bytes") {
		t.Errorf("got %v", err)
	}
}

func FuzzTargetFile(f *testing.F) {
	for _, seed := range []string{"web-1\n", "#\n", "a b", "\x00", "web-1,role=x", "web-*", ""} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "names")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		exprs, err := readNames(path)
		if err == nil && len(exprs) == 0 {
			t.Error("no names and no error")
		}
		for _, e := range exprs {
			if err := e.Validate(); err != nil || strings.ContainsAny(string(e), ",*?[") {
				t.Errorf("%q is more than a name: %v", e, err)
			}
		}
	})
}
