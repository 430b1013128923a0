package release

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func someDigest() *rapid.Generator[Digest] {
	return rapid.Custom(func(t *rapid.T) Digest {
		return sha256.Sum256(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "hashed"))
	})
}

func TestParseDigest(t *testing.T) {
	good := strings.Repeat("0a", 32)
	tests := []struct {
		in string
		ok bool
	}{
		{good, true},
		{strings.Repeat("0", 64), true},
		{"", false},
		{good[:63], false},
		{good[:62], false},
		{good + "0a", false},
		{strings.ToUpper(good), false},
		{good[:63] + "g", false},
		{good[:62] + "é", false},
		{" " + good[1:], false},
		{"0x" + good[2:], false},
	}
	for _, tt := range tests {
		d, err := ParseDigest(tt.in)
		if (err == nil) != tt.ok || err == nil && d.String() != tt.in || err != nil && (!d.IsZero() || !errors.Is(err, ErrInvalid)) {
			t.Errorf("%q: got %s, error %v", tt.in, d, err)
		}
	}
}

func TestDigestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := someDigest().Draw(t, "digest")
		var got Digest
		text, err := want.MarshalText()
		if err != nil || got.UnmarshalText(text) != nil || got != want {
			t.Errorf("%s became %s", want, got)
		}
		if short := want.Short(); hex.EncodeToString(short[:]) != want.String()[:40] {
			t.Errorf("short of %s is %x", want, short)
		}
	})
}

func FuzzDigest(f *testing.F) {
	f.Add(strings.Repeat("0a", 32))
	f.Add(strings.Repeat("A", 64))
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDigest(s); err == nil && d.String() != s {
			t.Errorf("%q became %s", s, d)
		}
	})
}
