package release

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func good() Manifest {
	return Manifest{
		Schema: ManifestSchema, App: "web", Version: "1.42.0", Counter: 7, SHA256: Digest{1}, Size: 431_996_928, Format: FormatTarGzip,
		InfoHash: Digest{2}, PieceLength: 1 << 20, Created: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
	}
}

// The encoding is what signatures and scripts see: it must not change.
const goodEncoded = `{"schema":1,"app":"web","version":"1.42.0","counter":7,` +
	`"sha256":"0100000000000000000000000000000000000000000000000000000000000000","size":431996928,"format":"tar.gz",` +
	`"infohash":"0200000000000000000000000000000000000000000000000000000000000000","piece_length":1048576,"created":"2026-11-22T12:00:00Z"}`

func TestManifestEncoding(t *testing.T) {
	b, err := good().Encode()
	if err != nil || string(b) != goodEncoded {
		t.Fatalf("got %s, error %v", b, err)
	}
	if m, err := DecodeManifest(b); err != nil || m != good() {
		t.Errorf("decoded %+v, error %v", m, err)
	}
	if ref := good().Ref(); ref != (Ref{"web", "1.42.0"}) {
		t.Errorf("ref %v", ref)
	}
}

func TestManifestValidate(t *testing.T) {
	tests := []struct {
		name string
		edit func(*Manifest)
		want string // in the error; empty: it is valid
	}{
		{"good", func(*Manifest) {}, ""},
		{"smallest", func(m *Manifest) { m.Size, m.PieceLength = 1, MinPieceLength }, ""},
		{"largest", func(m *Manifest) { m.Size, m.PieceLength = MaxArtifactSize, MaxPieceLength }, ""},
		{"expires", func(m *Manifest) { m.Expires = m.Created.Add(time.Hour) }, ""},
		{"no schema", func(m *Manifest) { m.Schema = 0 }, "schema 0"},
		{"later schema", func(m *Manifest) { m.Schema = 2 }, "schema 2"},
		{"app", func(m *Manifest) { m.App = "a b" }, "app"},
		{"version", func(m *Manifest) { m.Version = "../x" }, "version"},
		{"no counter", func(m *Manifest) { m.Counter = 0 }, "counter"},
		{"no size", func(m *Manifest) { m.Size = 0 }, "size"},
		{"negative size", func(m *Manifest) { m.Size = -1 }, "size"},
		{"too large", func(m *Manifest) { m.Size = MaxArtifactSize + 1 }, "size"},
		{"no sha256", func(m *Manifest) { m.SHA256 = Digest{} }, "digest"},
		{"no infohash", func(m *Manifest) { m.InfoHash = Digest{} }, "digest"},
		{"no piece length", func(m *Manifest) { m.PieceLength = 0 }, "piece length"},
		{"negative piece length", func(m *Manifest) { m.PieceLength = math.MinInt64 }, "piece length"},
		{"odd piece length", func(m *Manifest) { m.PieceLength = 3 << 16 }, "piece length"},
		{"short pieces", func(m *Manifest) { m.PieceLength = MinPieceLength / 2 }, "piece length"},
		{"long pieces", func(m *Manifest) { m.PieceLength = MaxPieceLength * 2 }, "piece length"},
		{"no time", func(m *Manifest) { m.Created = time.Time{} }, "created"},
		{"a time that is zero in whole seconds", func(m *Manifest) { m.Created = time.Time{}.Add(time.Millisecond) }, "created"},
		{"a year that JSON lacks", func(m *Manifest) { m.Created = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC) }, "year"},
		{"format", func(m *Manifest) { m.Format = 200 }, "format"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := good()
			tt.edit(&m)
			b, err := m.Encode()
			if tt.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %s, error %v, want one with %q", b, err, tt.want)
			}
		})
	}
}

func someManifest() *rapid.Generator[Manifest] {
	return rapid.Custom(func(t *rapid.T) Manifest {
		instant := rapid.Map(rapid.Int64Range(0, 200<<30), func(s int64) time.Time { return time.Unix(s, 12_345).In(time.FixedZone("", 3600)) })
		m := Manifest{
			Schema: ManifestSchema, App: someName().Draw(t, "app"), Version: someName().Draw(t, "version"),
			Counter: rapid.Uint64Min(1).Draw(t, "counter"), SHA256: someDigest().Draw(t, "sha256"),
			Size: rapid.Int64Range(1, MaxArtifactSize).Draw(t, "size"), Format: Format(rapid.IntRange(0, len(formatNames)-1).Draw(t, "format")),
			InfoHash: someDigest().Draw(t, "infohash"), PieceLength: MinPieceLength << rapid.IntRange(0, 7).Draw(t, "length"),
			Created: instant.Draw(t, "created"),
		}
		if rapid.Bool().Draw(t, "ends") {
			m.Expires = instant.Draw(t, "expires")
		}
		return m
	})
}

func TestManifestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := someManifest().Draw(t, "manifest")
		b, err := m.Encode()
		if err != nil || len(b) > MaxManifestLen {
			t.Fatalf("%d bytes, error %v", len(b), err)
		}
		got, err := DecodeManifest(b)
		m.Created, m.Expires = m.Created.UTC().Truncate(time.Second), m.Expires.UTC().Truncate(time.Second)
		if err != nil || got != m {
			t.Fatalf("got %+v, error %v, want %+v", got, err, m)
		}
	})
}

// checkDecoding holds of any bytes that decode: they are the one encoding of a
// valid manifest. So no other bytes give the same manifest.
func checkDecoding(t rapid.TB, b []byte) {
	m, err := DecodeManifest(b)
	if err != nil {
		if !errors.Is(err, ErrInvalid) || m != (Manifest{}) {
			t.Errorf("refused with %+v and %v", m, err)
		}
		return
	}
	again, err := m.Encode()
	if err != nil || !bytes.Equal(again, b) || m.Validate() != nil {
		t.Errorf("%q decoded, and encodes as %q, error %v", b, again, err)
	}
}

// Whatever bit of a manifest flips, it is refused or is another manifest.
func TestManifestFlips(t *testing.T) {
	ends := good()
	ends.Expires = ends.Created.Add(time.Hour)
	for _, m := range []Manifest{good(), ends} {
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for at := range b {
			for flip := 1; flip < 256; flip++ {
				other := bytes.Clone(b)
				other[at] ^= byte(flip)
				checkDecoding(t, other)
				if got, err := DecodeManifest(other); err == nil && got == m {
					t.Errorf("%q decodes as the manifest that it is not", other)
				}
			}
		}
	}
}

func TestDecodeManifestRefuses(t *testing.T) {
	replace := func(old, with string) string { return strings.Replace(goodEncoded, old, with, 1) }
	tests := map[string]string{
		"nothing":          "",
		"null":             "null",
		"a list":           "[" + goodEncoded + "]",
		"cut":              goodEncoded[:len(goodEncoded)-1],
		"white space":      " " + goodEncoded,
		"a line's end":     goodEncoded + "\n",
		"two documents":    goodEncoded + goodEncoded,
		"an unknown field": replace(`{`, `{"x":1,`),
		"a doubled field":  replace(`"counter":7`, `"counter":6,"counter":7`),
		"another case":     replace(`"counter"`, `"Counter"`),
		"another order":    replace(`"counter":7,`, ``)[:len(goodEncoded)-13] + `,"counter":7}`,
		"a missing field":  replace(`"counter":7,`, ``),
		"an escape":        replace(`"web"`, `"\u0077eb"`),
		"an exponent":      replace(`431996928`, `4.31996928e8`),
		"a fraction":       replace(`"counter":7`, `"counter":7.0`),
		"a leading zero":   replace(`"counter":7`, `"counter":07`),
		"a negative":       replace(`"counter":7`, `"counter":-7`),
		"another zone":     replace(`12:00:00Z`, `13:00:00+01:00`),
		"no seconds' end":  replace(`12:00:00Z`, `12:00:00.5Z`),
		"a zero expiry":    replace(`Z"}`, `Z","expires":"0001-01-01T00:00:00Z"}`),
		"upper-case hex":   replace(`"02`, `"0A`),
		"another format":   replace(`tar.gz`, `zip`),
		"too long":         replace(`{`, `{`+strings.Repeat(" ", MaxManifestLen)),
	}
	for name, doc := range tests {
		if doc == goodEncoded {
			t.Errorf("%s: the case changes nothing", name)
		}
		if m, err := DecodeManifest([]byte(doc)); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: got %+v, error %v", name, m, err)
		}
	}
}

func FuzzDecodeManifest(f *testing.F) {
	f.Add([]byte(goodEncoded))
	f.Add([]byte(`{"schema":1}`))
	f.Fuzz(func(t *testing.T, b []byte) { checkDecoding(t, b) })
}

func TestPieceLengthFor(t *testing.T) {
	tests := []struct{ size, want int64 }{
		{0, 64 << 10}, {1, 64 << 10}, {64<<10 + 1, 64 << 10}, {16 << 20, 64 << 10}, {32 << 20, 64 << 10}, {32<<20 + 1, 128 << 10},
		{64 << 20, 128 << 10}, {64<<20 + 1, 256 << 10}, {1 << 30, 2 << 20}, {10 << 30, 8 << 20}, {4 << 30, 8 << 20}, {4<<30 + 1, 8 << 20},
		{MaxArtifactSize, 8 << 20}, {math.MaxInt64, 8 << 20},
	}
	for _, tt := range tests {
		if got := PieceLengthFor(tt.size); got != tt.want {
			t.Errorf("%d bytes: %d, want %d", tt.size, got, tt.want)
		}
	}
}

func TestPieceLengthBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, MaxArtifactSize).Draw(t, "size")
		n := PieceLengthFor(size)
		pieces := (size + n - 1) / n
		switch {
		case !validPieceLength(n):
			t.Errorf("%d bytes: %d", size, n)
		case n < MaxPieceLength && pieces > 512, n > MinPieceLength && pieces <= 256:
			t.Errorf("%d bytes: %d pieces of %d", size, pieces, n)
		case PieceLengthFor(size+1) < n:
			t.Errorf("%d bytes: one byte more has shorter pieces", size)
		}
	})
}
