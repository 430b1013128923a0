package release

import (
	"encoding/hex"
	"fmt"
)

// Digest is a SHA-256: of an artifact, or of a torrent's info dictionary (its
// BitTorrent v2 infohash, BEP 52). As text it is 64 lower-case hex digits.
type Digest [32]byte

// ParseDigest reads 64 lower-case hex digits.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) {
		return d, fmt.Errorf("%w digest %.80q: want 64 hex digits", ErrInvalid, s)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil || hex.EncodeToString(d[:]) != s {
		return Digest{}, fmt.Errorf("%w digest %q: want 64 lower-case hex digits", ErrInvalid, s)
	}
	return d, nil
}

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Short is the 20-byte form of a v2 infohash that handshakes and announces
// carry (BEP 52).
func (d Digest) Short() [20]byte { return [20]byte(d[:20]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	v, err := ParseDigest(string(b))
	*d = v
	return err
}
