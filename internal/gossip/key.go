package gossip

import (
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"

	"crow/internal/release"
)

// keyLens are the lengths of AES keys, in bytes.
var keyLens = []int{16, 24, 32}

// ReadKey reads a fleet's key from a file: 16, 24 or 32 bytes in base64, as
// serf keygen prints them. Without a path there is no key. The error is
// release.ErrInvalid for a file of anything else.
func ReadKey(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("gossip_key_file: %w: %w", release.ErrInvalid, err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(b)))
	if err != nil || !slices.Contains(keyLens, len(key)) {
		return nil, fmt.Errorf("gossip_key_file: %w key in %s: want 16, 24 or 32 bytes in base64", release.ErrInvalid, path)
	}
	return key, nil
}
