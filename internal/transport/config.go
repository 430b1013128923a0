package transport

import (
	"fmt"

	"crow/internal/release"
)

// TLS is the config's tls key: the word off, or the files of mutual TLS, all of
// them PEM.
type TLS struct {
	Off  bool   `yaml:"-"`
	CA   string `yaml:"ca"`   // path; certificates of the fleet's CA, one or, while it changes, several
	Cert string `yaml:"cert"` // path; this host's own certificate
	Key  string `yaml:"key"`  // path; the certificate's private key
	CRL  string `yaml:"crl"`  // path; what the CA revoked; empty: nothing
}

// Validate refuses a config that leaves the key out: traffic in the clear must
// be meant. Whether the files are good is for Open.
func (t TLS) Validate() error {
	files := TLS{CA: t.CA, Cert: t.Cert, Key: t.Key, CRL: t.CRL}
	switch {
	case t.Off && files != TLS{}:
		return fmt.Errorf("tls: %w: it is off and names files", release.ErrInvalid)
	case t.Off:
		return nil
	case files == TLS{}:
		return fmt.Errorf("tls: missing or %w: want %s", release.ErrInvalid, tlsForms)
	}
	for _, f := range []struct{ key, path string }{{"ca", t.CA}, {"cert", t.Cert}, {"key", t.Key}} {
		if f.path == "" {
			return fmt.Errorf("tls: %w: %s is missing: want %s", release.ErrInvalid, f.key, tlsForms)
		}
	}
	return nil
}

const tlsForms = "off or {ca: FILE, cert: FILE, key: FILE}"

// UnmarshalText reads "off", the one form that is a word.
func (t *TLS) UnmarshalText(b []byte) error {
	if string(b) != "off" {
		return fmt.Errorf("tls: %w value %q: want %s", release.ErrInvalid, b, tlsForms)
	}
	*t = TLS{Off: true}
	return nil
}

// UnmarshalYAML reads both forms; decode is as strict as who reads the config.
func (t *TLS) UnmarshalYAML(decode func(any) error) error {
	var word string
	if decode(&word) == nil {
		return t.UnmarshalText([]byte(word))
	}
	type files TLS // the same keys, without this method
	var f files
	if err := decode(&f); err != nil {
		return err
	}
	*t = TLS(f)
	return nil
}
