package signing

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"crow/internal/release"
)

func manifest(t testing.TB) []byte {
	t.Helper()
	b, err := release.Manifest{
		Schema: release.ManifestSchema, App: "web", Version: "1.42.0", Counter: 7, SHA256: release.Digest{1}, Size: 1,
		InfoHash: release.Digest{2}, PieceLength: release.MinPieceLength, Created: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC),
	}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestVerify(t *testing.T) {
	private, keys := newKeys(t, 4) // the first three are trusted
	message := manifest(t)
	by := make([]string, 0, len(private))
	for _, k := range private {
		by = append(by, Sign(k, message, "web@1.42.0"))
	}
	of := func(key int, message string) string { return Sign(private[key], []byte(message), "") }
	stranger, twin := keys[3].ID(), keys[0]
	twin.raw[algorithmLen]++ // the same key under another ID
	tests := []struct {
		name      string
		threshold int
		got       []string
		want      string // in the error; empty: it is trusted
	}{
		{"one of one", 1, by[:1], ""},
		{"any of one", 1, by[2:], ""},
		{"two of two", 2, by[1:3], ""},
		{"all of three", 3, by, ""},
		{"more than needed", 1, by, ""},
		{"none", 1, nil, "0 of 1 needed keys"},
		{"one of two", 2, by[:1], "1 of 2 needed keys"},
		{"the same twice", 2, []string{by[0], by[0]}, "1 of 2 needed keys"},
		{"the same key, another comment", 2, []string{by[0], Sign(private[0], message, "again")}, "1 of 2 needed keys"},
		{"a stranger", 1, by[3:], "0 of 1 needed keys; others of keys that are not trusted: " + stranger},
		{"a trusted one and a stranger", 2, []string{by[0], by[3], by[3]}, "1 of 2 needed keys; others of keys that are not trusted: " + stranger},
		{"another message", 1, []string{of(0, "x")}, "by trusted keys: " + keys[0].ID()},
		{"the empty message", 1, []string{of(0, "")}, "by trusted keys"},
		{"no signature", 1, []string{"", "hello"}, "2 that cannot be read: invalid signature"},
		{"rubbish beside it", 1, []string{"", of(0, "x"), by[3], by[0]}, ""},
		{"a long one", 1, []string{by[0] + strings.Repeat("\n", MaxSignatureLen)}, "over 1024 bytes"},
		{"the last that is looked at", 1, append(slices.Repeat([]string{"x"}, MaxSignatures-1), by[0]), ""},
		{"one too far", 1, append(slices.Repeat([]string{"x"}, MaxSignatures), by[0]), "1 more than are looked at"},
		{"signed as a comment", 1, []string{Sign(private[0], nil, string(message))}, "by trusted keys"},
		{"another's ID on it", 1, []string{strings.ReplaceAll(of(3, string(message)), keys[3].String()[:13], keys[0].String()[:13])}, "0 of 1"},
	}
	for _, tt := range tests {
		err := Trust{append(keys[:3:3], twin), tt.threshold}.Verify(message, tt.got)
		if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
	for _, none := range []Trust{{}, {keys[:1], 0}, {keys[:1], -1}, {nil, 1}, {[]PublicKey{keys[0], twin}, 2}} {
		if err := none.Verify(message, by); !errors.Is(err, ErrUntrusted) || !errors.Is(err, release.ErrInvalid) {
			t.Errorf("%d keys, threshold %d: error %v", len(none.Keys), none.Threshold, err)
		}
	}
}

// Whatever signatures of whatever keys come, in whatever order: it takes as many
// different trusted ones as the threshold says.
func TestVerifyCountsKeys(t *testing.T) {
	private, keys := newKeys(t, 5)
	message := manifest(t)
	rapid.Check(t, func(t *rapid.T) {
		trusted := rapid.IntRange(1, 4).Draw(t, "trusted")
		trust := Trust{keys[:trusted], rapid.IntRange(1, trusted).Draw(t, "threshold")}
		var got []string
		valid := map[int]bool{}
		for range rapid.IntRange(0, 8).Draw(t, "signatures") {
			key, good := rapid.IntRange(0, 4).Draw(t, "key"), rapid.Bool().Draw(t, "good")
			if !good {
				got = append(got, Sign(private[key], []byte("x"), ""))
				continue
			}
			got = append(got, Sign(private[key], message, rapid.String().Draw(t, "comment")))
			if key < trusted {
				valid[key] = true
			}
		}
		if err := trust.Verify(message, got); (err == nil) != (len(valid) >= trust.Threshold) {
			t.Errorf("%d valid, %d needed: error %v", len(valid), trust.Threshold, err)
		}
	})
}

func TestSignIsMinisigns(t *testing.T) {
	k, err := ParsePrivateKey([]byte(theirPrivate), never)
	if err != nil {
		t.Fatal(err)
	}
	_, want, _ := strings.Cut(theirSignature, "\n")
	if _, got, _ := strings.Cut(Sign(k, []byte(theirMessage), "a comment"), "\n"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	trust := Trust{[]PublicKey{k.Public()}, 1}
	if err := trust.Verify([]byte(theirMessage), []string{theirSignature}); err != nil {
		t.Error(err)
	}
	if err := trust.Verify([]byte(theirMessage), []string{theirOlderForm}); !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), "older form") {
		t.Errorf("the older form: error %v", err)
	}
}

// No comment makes a signature that is not accepted.
func TestSignComments(t *testing.T) {
	k := newKey(t)
	trust := Trust{[]PublicKey{k.Public()}, 1}
	for _, comment := range []string{"", "a\nb", "\r", "\x1b[2J", "\xff", strings.Repeat("é", 1000), strings.Repeat("日", 1000), strings.Repeat("\xff", 1000)} {
		s := Sign(k, nil, comment)
		if err := trust.Verify(nil, []string{s}); err != nil || strings.Count(s, "\n") != 4 {
			t.Errorf("%.20q: %q, error %v", comment, s, err)
		}
	}
}

// A flip of any bit of a signed manifest makes it untrusted.
func TestManifestFlips(t *testing.T) {
	k, message := newKey(t), manifest(t)
	trust, signatures := Trust{[]PublicKey{k.Public()}, 1}, []string{Sign(k, message, "")}
	for at := range message {
		for bit := range 8 {
			other := slices.Clone(message)
			other[at] ^= 1 << bit
			if err := trust.Verify(other, signatures); !errors.Is(err, ErrUntrusted) {
				t.Errorf("byte %d, bit %d: error %v", at, bit, err)
			}
		}
	}
	for _, other := range [][]byte{nil, message[1:], message[:len(message)-1], append(slices.Clone(message), '\n')} {
		if err := trust.Verify(other, signatures); !errors.Is(err, ErrUntrusted) {
			t.Errorf("%q: error %v", other, err)
		}
	}
}

// A flip of any bit of a signature makes it worthless, but for the words of the
// comment that minisign itself calls untrusted.
func TestSignatureFlips(t *testing.T) {
	k, message := newKey(t), manifest(t)
	trust, text := Trust{[]PublicKey{k.Public()}, 1}, Sign(k, message, "web@1.42.0")
	from, to := len("untrusted comment: "), strings.Index(text, "\n")
	for at := range text {
		for bit := range 8 {
			other := []byte(text)
			other[at] ^= 1 << bit
			err := trust.Verify(message, []string{string(other)})
			if words := at >= from && at < to; !words && !errors.Is(err, ErrUntrusted) {
				t.Errorf("byte %d, bit %d: %q: error %v", at, bit, other, err)
			}
		}
	}
	for _, other := range []string{text[:len(text)-1], text + "\n", " " + text, strings.ReplaceAll(text, "\n", "\r\n"), text + text} {
		if err := trust.Verify(message, []string{other}); !errors.Is(err, ErrUntrusted) {
			t.Errorf("%q: error %v", other, err)
		}
	}
}

// Whatever is trusted says what the key's owner signed, in the one form.
func FuzzVerify(f *testing.F) {
	for _, s := range []string{theirSignature, theirOlderForm, "", "untrusted comment: \n\ntrusted comment: \n"} {
		f.Add(s)
	}
	k, err := ParsePublicKey(theirLine)
	if err != nil {
		f.Fatal(err)
	}
	_, want, _ := strings.Cut(theirSignature, "\n")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := parseSignature(s); err != nil && !errors.Is(err, release.ErrInvalid) {
			t.Errorf("error %v", err)
		}
		err := Trust{[]PublicKey{k}, 1}.Verify([]byte(theirMessage), []string{s})
		if _, got, _ := strings.Cut(s, "\n"); err == nil && got != want {
			t.Errorf("%q is trusted", s)
		}
		if err != nil && !errors.Is(err, ErrUntrusted) {
			t.Errorf("error %v", err)
		}
	})
}
