package gossip

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"crow/internal/release"
)

const (
	// MaxKeys is how many keys a member has at once: a rotation needs two, and
	// another may begin before some host has ended the first. A packet that no
	// key fits is tried with each, so this bounds what a stranger costs.
	MaxKeys = 4
	// maxKeyFile bounds a key file, in bytes. MaxKeys lines are 180.
	maxKeyFile = 4 << 10
)

// keyLens are the lengths of AES keys, in bytes.
var keyLens = []int{16, 24, 32}

// ReadKeys reads a fleet's keys from a file, as ParseKeys has them. Without a
// path there are none. The error is release.ErrInvalid, also for a file that
// can't be read.
func ReadKeys(path string) ([][]byte, error) {
	if path == "" {
		return nil, nil
	}
	text, err := readBounded(path)
	if err != nil {
		return nil, fmt.Errorf("gossip_key_file: %w: %w", release.ErrInvalid, err)
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("gossip_key_file: %s: %w", path, err)
	}
	return keys, nil
}

func readBounded(path string) (text []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	if text, err = io.ReadAll(io.LimitReader(f, maxKeyFile+1)); err != nil {
		return nil, err
	}
	if len(text) > maxKeyFile {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxKeyFile)
	}
	return text, nil
}

// ParseKeys takes one key a line, of 16, 24 or 32 bytes in base64, as serf
// keygen prints them: 1 to 4, all different, of which the first is the one to
// send with. Empty lines are skipped. The error is release.ErrInvalid and shows
// nothing of a key.
func ParseKeys(text []byte) ([][]byte, error) {
	var keys [][]byte
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("%w key in line %d: no base64", release.ErrInvalid, n)
		}
		if keys = append(keys, key); len(keys) > MaxKeys {
			break // validateKeys says so
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w keys: there is none", release.ErrInvalid)
	}
	if err := validateKeys(keys); err != nil {
		return nil, err
	}
	return keys, nil
}

// FormatKeys gives keys in the form that ParseKeys takes a line each of; of none it
// returns nil.
func FormatKeys(keys [][]byte) (lines []string) {
	for _, k := range keys {
		lines = append(lines, base64.StdEncoding.EncodeToString(k))
	}
	return lines
}

// validateKeys accepts no keys too.
func validateKeys(keys [][]byte) error {
	if len(keys) > MaxKeys {
		return fmt.Errorf("%w keys: more than %d", release.ErrInvalid, MaxKeys)
	}
	for i, key := range keys {
		if !slices.Contains(keyLens, len(key)) {
			return fmt.Errorf("%w key %d: %d bytes, want 16, 24 or 32", release.ErrInvalid, i+1, len(key))
		}
		if hasKey(keys[:i], key) {
			return fmt.Errorf("%w key %d: it is there twice", release.ErrInvalid, i+1)
		}
	}
	return nil
}

func hasKey(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
}
