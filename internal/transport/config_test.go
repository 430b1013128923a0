package transport

import (
	"errors"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"crow/internal/release"
)

// decodeTLS reads a config that has the tls key only, as strictly as crow does.
func decodeTLS(text string) (TLS, error) {
	var c struct {
		TLS TLS `yaml:"tls"`
	}
	err := yaml.UnmarshalWithOptions([]byte(text), &c, yaml.DisallowUnknownField())
	return c.TLS, err
}

func TestTLSKey(t *testing.T) {
	for _, test := range []struct {
		text string
		want TLS
		err  string // of decoding or validation
	}{
		{"tls: off", TLS{Off: true}, ""},
		{`tls: "off"`, TLS{Off: true}, ""},
		{"tls: {ca: a, cert: b, key: c}", TLS{CA: "a", Cert: "b", Key: "c"}, ""},
		{"tls:\n  ca: a\n  cert: b\n  key: c\n  crl: d\n", TLS{CA: "a", Cert: "b", Key: "c", CRL: "d"}, ""},
		{"tls: on", TLS{}, `tls: invalid value "on": want off or {ca: `},
		{"tls: true", TLS{}, "tls: invalid value"},
		{"tls: {ca: a, cert: b, key: c, crt: d}", TLS{}, `unknown field "crt"`},
		{"tls: {ca: a, off: true}", TLS{}, `unknown field "off"`},
		{"tls: [off]", TLS{}, "sequence was used where mapping is expected"},
		{"tls: {ca: a, cert: b}", TLS{}, "tls: invalid: key is missing"},
		{"tls: {crl: d}", TLS{}, "tls: invalid: ca is missing"},
		{"tls: {}", TLS{}, "tls: missing"},
		{"{}", TLS{}, "tls: missing"},
	} {
		got, err := decodeTLS(test.text)
		if err == nil {
			if err = got.Validate(); err != nil && !errors.Is(err, release.ErrInvalid) {
				t.Errorf("%s: %v is no config error", test.text, err)
			}
		}
		switch {
		case test.err == "" && (err != nil || got != test.want):
			t.Errorf("%s: got %+v, %v", test.text, got, err)
		case test.err != "" && (err == nil || !strings.Contains(err.Error(), test.err)):
			t.Errorf("%s: got %v, want %s", test.text, err, test.err)
		}
	}
	if err := (TLS{Off: true, CA: "a"}).Validate(); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("off with files: %v", err)
	}
}

func FuzzTLSKey(f *testing.F) {
	for _, seed := range []string{"tls: off", "tls: {ca: a, cert: b, key: c}", "tls: &a [*a]", "tls: 1", "tls:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := decodeTLS(text)
		if err == nil && c.Validate() == nil && c.Off == (c.CA != "" && c.Cert != "" && c.Key != "") {
			t.Errorf("%q was taken as %+v", text, c)
		}
	})
}
