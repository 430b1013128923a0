package signing

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"crow/internal/release"
)

// Trust says whose releases a host runs: those that at least Threshold
// different ones of Keys have signed. The zero value trusts nobody.
type Trust struct {
	Keys      []PublicKey `yaml:"keys"`      // at most MaxKeys
	Threshold int         `yaml:"threshold"` // 1 if a config leaves it out
}

// IsZero reports whether t was never set: the config names no trust.
func (t Trust) IsZero() bool { return len(t.Keys) == 0 && t.Threshold == 0 }

// Validate checks that the threshold can be met, and not by nobody.
func (t Trust) Validate() error {
	if len(t.Keys) == 0 || len(t.Keys) > MaxKeys {
		return fmt.Errorf("trust: %w keys: %d, want 1 to %d", release.ErrInvalid, len(t.Keys), MaxKeys)
	}
	different := map[[pointLen]byte]bool{}
	for _, k := range t.Keys {
		if k.IsZero() {
			return fmt.Errorf("trust: %w keys: one is empty", release.ErrInvalid)
		}
		different[k.point()] = true
	}
	if t.Threshold < 1 || t.Threshold > len(different) {
		return fmt.Errorf("trust: %w threshold %d: want 1 to %d, the number of different keys", release.ErrInvalid, t.Threshold, len(different))
	}
	return nil
}

// UnmarshalYAML reads the config's trust key. A key is a line that begins with
// RW or, if it is an absolute path or has a dot, which base64 has not, a .pub
// file.
func (t *Trust) UnmarshalYAML(decode func(any) error) error {
	config := struct {
		Keys      []string `yaml:"keys"`
		Threshold int      `yaml:"threshold"`
	}{Threshold: 1}
	if err := decode(&config); err != nil {
		return err
	}
	read := Trust{Threshold: config.Threshold}
	for _, s := range config.Keys {
		k, err := readKey(s)
		if err != nil {
			return fmt.Errorf("trust: %w", err)
		}
		read.Keys = append(read.Keys, k)
	}
	*t = read
	return nil
}

func readKey(s string) (PublicKey, error) {
	if !filepath.IsAbs(s) && !strings.Contains(s, ".") {
		return ParsePublicKey(s)
	}
	f, err := os.Open(filepath.Clean(s))
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w keys: %w", release.ErrInvalid, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxKeyFileLen+1))
	if err != nil {
		return PublicKey{}, fmt.Errorf("%w keys: %w", release.ErrInvalid, err)
	}
	k, err := ParsePublicKey(string(b))
	if err != nil {
		return PublicKey{}, fmt.Errorf("%s: %w", s, err)
	}
	return k, nil
}
