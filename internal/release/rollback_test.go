package release

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func goodRollback() Rollback {
	return RollbackTo(good(), 9, time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC), time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC))
}

// The encoding is what signatures and scripts see: it must not change.
const rollbackEncoded = `{"type":"rollback","schema":1,"app":"web","version":"1.42.0","counter":7,` +
	`"sha256":"0100000000000000000000000000000000000000000000000000000000000000","replaces":9,` +
	`"created":"2026-11-23T08:00:00Z","expires":"2026-11-24T08:00:00Z"}`

func TestRollbackEncoding(t *testing.T) {
	b, err := goodRollback().Encode()
	if err != nil || string(b) != rollbackEncoded {
		t.Fatalf("got %s, error %v", b, err)
	}
	if r, err := DecodeRollback(b); err != nil || r != goodRollback() || r.Ref() != good().Ref() {
		t.Errorf("decoded %+v, error %v", r, err)
	}
	r := RollbackTo(good(), 9, goodRollback().Created, time.Time{})
	if b, err := r.Encode(); err != nil || strings.Contains(string(b), "expires") {
		t.Errorf("without an end: %s, error %v", b, err)
	}
}

func TestRollbackValidate(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Rollback)
		want string // in the error; empty: it is valid
	}{
		{"good", func(*Rollback) {}, ""},
		{"by one", func(r *Rollback) { r.Replaces = r.Counter + 1 }, ""},
		{"for ever", func(r *Rollback) { r.Expires = time.Time{} }, ""},
		{"no type", func(r *Rollback) { r.Type = "" }, "type"},
		{"another type", func(r *Rollback) { r.Type = "Rollback" }, "type"},
		{"no schema", func(r *Rollback) { r.Schema = 0 }, "schema 0"},
		{"later schema", func(r *Rollback) { r.Schema = 2 }, "schema 2"},
		{"app", func(r *Rollback) { r.App = "a b" }, "app"},
		{"version", func(r *Rollback) { r.Version = CurrentLink }, "version"},
		{"no counter", func(r *Rollback) { r.Counter = 0 }, "counter"},
		{"no sha256", func(r *Rollback) { r.SHA256 = Digest{} }, "sha256"},
		{"replaces nothing", func(r *Rollback) { r.Replaces = 0 }, "replaces"},
		{"replaces itself", func(r *Rollback) { r.Replaces = r.Counter }, "replaces"},
		{"no time", func(r *Rollback) { r.Created = time.Time{} }, "created"},
		{"a year that JSON lacks", func(r *Rollback) { r.Expires = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, "year"},
	}
	for _, tt := range tests {
		r := goodRollback()
		tt.edit(&r)
		b, err := r.Encode()
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %s, error %v, want one with %q", tt.name, b, err, tt.want)
		}
	}
}

func TestRollbackRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := someManifest().Filter(func(m Manifest) bool { return m.Counter < 1<<64-1 }).Draw(t, "manifest")
		r := RollbackTo(m, rapid.Uint64Min(m.Counter+1).Draw(t, "replaces"), m.Created, m.Expires)
		b, err := r.Encode()
		if err != nil || len(b) > MaxManifestLen {
			t.Fatalf("%d bytes, error %v", len(b), err)
		}
		if got, err := DecodeRollback(b); err != nil || got != r {
			t.Fatalf("got %+v, error %v, want %+v", got, err, r)
		}
	})
}

// checkRollback holds of any bytes that decode: they are the one encoding of a
// valid statement, and no manifest.
func checkRollback(t rapid.TB, b []byte) {
	r, err := DecodeRollback(b)
	if err != nil {
		if !errors.Is(err, ErrInvalid) || r != (Rollback{}) {
			t.Errorf("refused with %+v and %v", r, err)
		}
		return
	}
	again, err := r.Encode()
	if err != nil || !bytes.Equal(again, b) {
		t.Errorf("%q decoded, and encodes as %q, error %v", b, again, err)
	}
	if _, err := DecodeManifest(b); err == nil {
		t.Errorf("%q is a manifest too", b)
	}
}

// Whatever bit of a statement flips, it is refused or is another statement.
func TestRollbackFlips(t *testing.T) {
	for at := range rollbackEncoded {
		for bit := range 8 {
			other := []byte(rollbackEncoded)
			other[at] ^= 1 << bit
			checkRollback(t, other)
			if got, err := DecodeRollback(other); err == nil && got == goodRollback() {
				t.Errorf("%q decodes as the statement that it is not", other)
			}
		}
	}
}

func TestDecodeRollbackRefuses(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(rollbackEncoded, old, with, 1) }
	tests := map[string]string{
		"nothing":          "",
		"null":             "null",
		"a manifest":       goodEncoded,
		"cut":              rollbackEncoded[:len(rollbackEncoded)-1],
		"white space":      replace(`,`, `, `),
		"a line's end":     rollbackEncoded + "\n",
		"two documents":    rollbackEncoded + rollbackEncoded,
		"no type":          replace(`"type":"rollback",`, ``),
		"an unknown field": replace(`{`, `{"x":1,`),
		"a doubled field":  replace(`"replaces":9`, `"replaces":8,"replaces":9`),
		"another case":     replace(`"replaces"`, `"Replaces"`),
		"a missing field":  replace(`"replaces":9,`, ``),
		"an escape":        replace(`"web"`, `"\u0077eb"`),
		"another zone":     replace(`08:00:00Z`, `09:00:00+01:00`),
		"too long":         replace(`{`, `{`+strings.Repeat(" ", MaxManifestLen)),
	}
	for name, doc := range tests {
		if doc == rollbackEncoded {
			t.Errorf("%s: the case changes nothing", name)
		}
		if r, err := DecodeRollback([]byte(doc)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %+v, error %v", name, r, err)
		}
	}
	if m, err := DecodeManifest([]byte(rollbackEncoded)); !errors.Is(err, ErrInvalid) {
		t.Errorf("as a manifest: %+v, error %v", m, err)
	}
}

func FuzzDecodeRollback(f *testing.F) {
	f.Add([]byte(rollbackEncoded))
	f.Add([]byte(goodEncoded))
	f.Add([]byte(`{"type":"rollback"}`))
	f.Fuzz(func(t *testing.T, b []byte) { checkRollback(t, b) })
}
