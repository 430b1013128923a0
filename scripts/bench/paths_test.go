package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWritable(t *testing.T) {
	dir := t.TempDir()
	old, fresh := filepath.Join(dir, "old"), filepath.Join(dir, "fresh")
	if err := os.WriteFile(old, []byte("figures"), 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"": true, old: true, fresh: true, dir: false, filepath.Join(dir, "none", "figures"): false, filepath.Join(old, "figures"): false} {
		if err := writable(path); (err == nil) != want {
			t.Errorf("%q: %v", path, err)
		}
	}
	if b, err := os.ReadFile(old); err != nil || string(b) != "figures" {
		t.Errorf("what was there is %q, %v", b, err)
	}
	if _, err := os.Stat(fresh); err == nil {
		t.Error("a file is left")
	}
}

// What can't be done is told before anything is run, with exit 2.
func TestUnable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, args, want string }{
		{"no folder for the figures", "--systems http1 --json " + file + "/figures.json", "bench: --json: open " + file + "/figures.json: not a directory"},
		{"no folder for the logs", "--systems http1 --logs " + file + "/logs", "bench: --logs: mkdir " + file + ": not a directory"},
		{"no crow", "--crow-binary " + dir + "/none", "bench: --crow-binary: there is no crow at " + dir + "/none, which aria2, libtorrent, crow, crow-tls need: make build"},
		{"another program", "--systems crow --crow-binary /bin/true", "bench: --crow-binary: there is no crow at /bin/true"},
	} {
		var out, errs strings.Builder
		code := run(context.Background(), append([]string{"bench", "--hosts", "1", "--size", "1KiB", "--work", dir}, strings.Fields(test.args)...), &out, &errs)
		if code != exitUnable || !strings.HasPrefix(errs.String(), test.want) || out.Len() > 0 {
			t.Errorf("%s: exit %d: %s%s", test.name, code, errs.String(), out.String())
		}
	}
}
