package pki

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crow/internal/release"
)

func TestSaveAndLoad(t *testing.T) {
	ca, dir := newCA(t), filepath.Join(t.TempDir(), "a", "pki")
	if err := ca.Save(dir); err != nil {
		t.Fatal(err)
	}
	checkModes(t, dir, map[string]fs.FileMode{KeyFile: 0o600, CertFile: 0o644})
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, error %v", info, err)
	}
	cert, _ := issue(t, ca, Request{Role: "peer", Name: "web-1"})
	if _, err := ca.Revoke(cert); err != nil { // is kept without another Save
		t.Fatal(err)
	}
	checkModes(t, dir, map[string]fs.FileMode{KeyFile: 0o600, CertFile: 0o644, CRLFile: 0o644})
	again, err := LoadCA(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again.Fleet() != "crows" || !bytes.Equal(again.Cert(), ca.Cert()) || !bytes.Equal(again.CRL(), ca.CRL()) {
		t.Error("it is another ca")
	}
	byAgain, _ := issue(t, again, Request{Role: "peer", Name: "web-2"})
	if _, err := again.Revoke(byAgain); err != nil {
		t.Fatal(err)
	}
	text, err := ca.Revoke(byAgain) // which the other one's list has
	if err != nil {
		t.Fatal(err)
	}
	if number, serials := entries(t, ca, text); number != 3 || len(serials) != 2 {
		t.Errorf("list %d with %d entries: what another process revoked is lost", number, len(serials))
	}
}

func checkModes(t *testing.T, dir string, want map[string]fs.FileMode) {
	t.Helper()
	for name, mode := range want {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, error %v, want %s", name, info, err, mode)
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(want) {
		t.Errorf("%v, error %v: want %v", files, err, want)
	}
}

// A list from before the first Save is not lost.
func TestSaveKeepsTheList(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	cert, _ := issue(t, ca, Request{Role: "peer", Name: "web-1"})
	if _, err := ca.Revoke(cert); err != nil {
		t.Fatal(err)
	}
	if err := ca.Save(dir); err != nil {
		t.Fatal(err)
	}
	if again, err := LoadCA(dir); err != nil || !bytes.Equal(again.CRL(), ca.CRL()) {
		t.Errorf("error %v", err)
	}
}

// No CA is lost to another, be it only a part of one that is there.
func TestSaveReplacesNothing(t *testing.T) {
	for _, name := range []string{KeyFile, CertFile} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := newCA(t).Save(dir); !errors.Is(err, fs.ErrExist) {
			t.Errorf("beside %s: error %v", name, err)
		}
		files, err := os.ReadDir(dir)
		if b, readErr := os.ReadFile(path); string(b) != "precious" || len(files) != 1 {
			t.Errorf("%s became %q, files %v, errors %v, %v", name, b, files, err, readErr)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	other := newCA(t)
	otherDir := t.TempDir()
	leaf, leafKey := issue(t, other, Request{Role: "peer", Name: "web-1"})
	if err := other.Save(otherDir); err != nil {
		t.Fatal(err)
	}
	otherKey, err := os.ReadFile(filepath.Join(otherDir, KeyFile))
	if err != nil {
		t.Fatal(err)
	}
	otherList, err := other.Revoke()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, file string
		text       []byte // nil: the file is missing
		want       error
	}{
		{"no certificate", CertFile, nil, fs.ErrNotExist},
		{"no key", KeyFile, nil, fs.ErrNotExist},
		{"no PEM", CertFile, []byte("hello"), release.ErrInvalid},
		{"a broken certificate", CertFile, encode(blockCert, []byte("x")), release.ErrInvalid},
		{"two certificates", CertFile, append(other.Cert(), other.Cert()...), release.ErrInvalid},
		{"a node's certificate", CertFile, leaf, release.ErrInvalid},
		{"another ca's certificate", CertFile, other.Cert(), release.ErrInvalid},
		{"a certificate for a key", KeyFile, other.Cert(), release.ErrInvalid},
		{"a broken key", KeyFile, encode(blockKey, []byte("x")), release.ErrInvalid},
		{"another ca's key", KeyFile, otherKey, release.ErrInvalid},
		{"a node's key", KeyFile, leafKey, release.ErrInvalid},
		{"no list in it", CRLFile, []byte(""), release.ErrInvalid},
		{"a broken list", CRLFile, encode(blockCRL, []byte("x")), release.ErrInvalid},
		{"another ca's list", CRLFile, otherList, release.ErrInvalid},
	}
	for _, tt := range tests {
		ca, dir := newCA(t), t.TempDir()
		if err := ca.Save(dir); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, tt.file)
		err := os.RemoveAll(path)
		if tt.text != nil {
			err = os.WriteFile(path, tt.text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCA(dir); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v, want %v", tt.name, err, tt.want)
		}
		if _, err := ca.Revoke(); tt.file == CRLFile && err == nil {
			t.Errorf("%s: it was replaced by a list without its entries", tt.name)
		}
	}
}

// A node's certificate and key do not pass for a CA's, though they belong together.
func TestLoadRefusesANode(t *testing.T) {
	dir := t.TempDir()
	cert, key := issue(t, newCA(t), Request{Role: "peer", Name: "web-1"})
	if err := errors.Join(WriteNew(filepath.Join(dir, CertFile), cert, CertMode), WriteNew(filepath.Join(dir, KeyFile), key, KeyMode)); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadCA(dir); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

func TestLoadIsBounded(t *testing.T) {
	ca, dir := newCA(t), t.TempDir()
	if err := ca.Save(dir); err != nil {
		t.Fatal(err)
	}
	for more, want := range map[int]error{0: nil, maxListLen: release.ErrInvalid} {
		text := append(ca.Cert(), bytes.Repeat([]byte("\n"), more)...)
		if err := Write(filepath.Join(dir, CertFile), text, CertMode); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadCA(dir); !errors.Is(err, want) {
			t.Errorf("%d bytes: error %v, want %v", len(text), err, want)
		}
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "web-1.key")
	if err := WriteNew(path, []byte("one"), KeyMode); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(path, []byte("two"), CertMode); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a second time: error %v", err)
	}
	checkModes(t, dir, map[string]fs.FileMode{"web-1.key": 0o600})
	if err := Write(path, []byte("three"), KeyMode); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); string(b) != "three" || err != nil {
		t.Errorf("%q, error %v", b, err)
	}
	checkModes(t, dir, map[string]fs.FileMode{"web-1.key": 0o600})
	if err := Write(filepath.Join(dir, "none", "x"), nil, KeyMode); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a folder: error %v", err)
	}
	if err := Write(dir, []byte("x"), KeyMode); err == nil { // a folder's place
		t.Error("a folder was replaced")
	}
}

// The CA's clock is the machine's unless a caller has another.
func TestClock(t *testing.T) {
	ca := newCA(t)
	if d := time.Since(ca.now()); d < 0 || d > time.Minute {
		t.Errorf("it is off by %s", d)
	}
}
