package signing

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"crow/internal/release"
)

func TestParsePublicKey(t *testing.T) {
	tests := map[string]struct {
		text string
		ok   bool
	}{
		"a line":                 {theirLine, true},
		"a line and its end":     {theirLine + "\n", true},
		"a file":                 {theirPublic, true},
		"a file of another line": {strings.ReplaceAll(theirPublic, "\n", "\r\n"), true},
		"another comment":        {"untrusted comment: of the release engineers\n" + theirLine, true},
		"nothing":                {"", false},
		"a comment only":         {"untrusted comment: x\n", false},
		"a comment in front":     {"# x\n" + theirLine, false},
		"cut":                    {theirLine[:55], false},
		"longer":                 {theirLine + "AAAA", false},
		"broken in two":          {theirLine[:20] + "\n" + theirLine[20:], false},
		"two keys":               {theirLine + "\n" + theirLine, false},
		"no base64":              {"RW!" + theirLine[3:], false},
		"another algorithm":      {"RX" + theirLine[2:], false},
		"a private key":          {theirPrivate, false},
		"a signature":            {theirSignature, false},
		"too long":               {theirLine + strings.Repeat(" ", maxKeyFileLen), false},
	}
	for name, tt := range tests {
		k, err := ParsePublicKey(tt.text)
		if (err == nil) != tt.ok || err != nil && (!errors.Is(err, release.ErrInvalid) || !k.IsZero() || len(err.Error()) > 250) {
			t.Errorf("%s: got %v, error %v", name, k, err)
		}
		if tt.ok && (k.String() != theirLine || k.ID() != theirID || string(k.File()) != theirPublic) {
			t.Errorf("%s: got %s, ID %s, file %q", name, k, k.ID(), k.File())
		}
	}
}

func TestPublicKeyInDocuments(t *testing.T) {
	doc, err := json.Marshal([]PublicKey{newKey(t).Public()})
	var keys []PublicKey
	if err != nil || json.Unmarshal(doc, &keys) != nil || len(keys) != 1 || string(doc) != `["`+keys[0].String()+`"]` {
		t.Errorf("%s became %v, error %v", doc, keys, err)
	}
	if err := json.Unmarshal([]byte(`["RW"]`), &keys); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("error %v", err)
	}
	if b, err := (PublicKey{}).MarshalText(); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("no key is %q, error %v", b, err)
	}
}

func TestParsePrivateKey(t *testing.T) {
	raw, err := base64.StdEncoding.DecodeString(strings.Split(theirPrivate, "\n")[1])
	if err != nil {
		t.Fatal(err)
	}
	edited := func(at int, b byte) string {
		other := append([]byte(nil), raw...)
		other[at] ^= b
		return "untrusted comment: x\n" + base64.StdEncoding.EncodeToString(other)
	}
	tests := map[string]struct {
		text string
		ask  func() ([]byte, error)
		want error
	}{
		"without a passphrase":    {theirPrivate, never, nil},
		"none can be asked for":   {theirPrivate, nil, nil},
		"without its comment":     {strings.Split(theirPrivate, "\n")[1], never, nil},
		"encrypted":               {theirEncrypted, answer(passphrase), nil},
		"a wrong passphrase":      {theirEncrypted, answer("open barley"), ErrPassphrase},
		"a line too many":         {theirEncrypted, answer(passphrase + "\n"), ErrPassphrase},
		"an empty passphrase":     {theirEncrypted, answer(""), ErrPassphrase},
		"encrypted, nobody asked": {theirEncrypted, nil, ErrPassphrase},
		"nothing":                 {"", never, release.ErrInvalid},
		"a public key":            {theirPublic, never, release.ErrInvalid},
		"a signature":             {theirSignature, never, release.ErrInvalid},
		"cut":                     {theirPrivate[:200], never, release.ErrInvalid},
		"too long":                {theirPrivate + strings.Repeat("\n", maxKeyFileLen), never, release.ErrInvalid},
		"another algorithm":       {edited(0, 1), never, release.ErrInvalid},
		"another derivation":      {edited(2, 1), never, release.ErrInvalid},
		"another checksum":        {edited(4, 1), never, release.ErrInvalid},
		"another seed":            {edited(62, 1), never, release.ErrInvalid},
		"another public half":     {edited(125, 1), never, release.ErrInvalid},
	}
	for name, tt := range tests {
		k, err := ParsePrivateKey([]byte(tt.text), tt.ask)
		if !errors.Is(err, tt.want) || err == nil && k.Public().String() != theirLine {
			t.Errorf("%s: got %v, error %v, want %v", name, k, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "RWQ") {
			t.Errorf("%s: the error quotes the key: %v", name, err)
		}
	}
	if _, err := ParsePrivateKey([]byte(theirEncrypted), never); err == nil || !strings.Contains(err.Error(), "nobody is there") {
		t.Errorf("nobody to ask: error %v", err)
	}
}

func TestPrivateKeyRoundTrip(t *testing.T) {
	k := newKey(t)
	got, err := ParsePrivateKey(k.File(), never)
	if err != nil || got.Public() != k.Public() || string(got.File()) != string(k.File()) {
		t.Errorf("%v became %v, error %v", k, got, err)
	}
	if newKey(t).Public() == k.Public() {
		t.Error("two keys are the same")
	}
	if text, err := k.Encrypt(nil); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("without a passphrase: %q, error %v", text, err)
	}
}

// Logs and documents that a private key gets into by mistake do not give it away.
func TestPrivateKeyIsNotShown(t *testing.T) {
	k, err := ParsePrivateKey([]byte(theirPrivate), never)
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		if got := fmt.Sprintf(verb, k); got != "private key "+theirID {
			t.Errorf("%s: %s", verb, got)
		}
		if got := fmt.Sprintf(verb, &k); got != "private key "+theirID {
			t.Errorf("%s of a pointer: %s", verb, got)
		}
	}
	if doc, err := json.Marshal(map[string]any{"key": k}); string(doc) != `{"key":{}}` {
		t.Errorf("as JSON: %s, error %v", doc, err)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	for _, s := range []string{theirLine, theirPublic, theirPrivate, "untrusted comment: \n", "RW"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParsePublicKey(s)
		if err != nil {
			if !errors.Is(err, release.ErrInvalid) || !k.IsZero() {
				t.Errorf("refused with %v and %v", k, err)
			}
			return
		}
		again, err := ParsePublicKey(k.String())
		if fromFile, fileErr := ParsePublicKey(string(k.File())); err != nil || fileErr != nil || again != k || fromFile != k || !strings.Contains(s, k.String()) {
			t.Errorf("%q became %s, which became %s and %s", s, k, again, fromFile)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	for _, s := range []string{theirPrivate, theirEncrypted, theirPublic, "untrusted comment: \n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParsePrivateKey(b, never) // each derivation would take up to seconds
		if err != nil {
			return
		}
		message := []byte("message")
		if err := (Trust{[]PublicKey{k.Public()}, 1}).Verify(message, []string{Sign(k, message, "")}); err != nil {
			t.Errorf("what %v signs is not trusted: %v", k, err)
		}
	})
}
