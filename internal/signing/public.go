package signing

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"aead.dev/minisign"

	"crow/internal/release"
)

// The parts of a public key, in bytes: algorithm, key ID, Ed25519 key.
const (
	algorithmLen = 2
	idLen        = 8
	pointLen     = 32
)

// PublicKey is a minisign public key. It is comparable; the zero value is no
// key. As text it is one line of base64 that begins with RW.
type PublicKey struct {
	raw [algorithmLen + idLen + pointLen]byte
}

// ParsePublicKey reads a key's line of base64, or the whole text of a .pub file.
// The error is release.ErrInvalid.
func ParsePublicKey(text string) (PublicKey, error) {
	if len(text) > maxKeyFileLen {
		return PublicKey{}, fmt.Errorf("%w public key: %d bytes, at most %d are allowed", release.ErrInvalid, len(text), maxKeyFileLen)
	}
	key := strings.TrimSpace(text)
	if comment, rest, ok := strings.Cut(key, "\n"); ok && strings.HasPrefix(comment, "untrusted comment:") {
		key = strings.TrimSpace(rest)
	}
	var m minisign.PublicKey
	// Base64 leaves room for line ends within; a key has one form only.
	if err := m.UnmarshalText([]byte(key)); err != nil || m.String() != key {
		return PublicKey{}, fmt.Errorf("%w public key %.80q: want minisign's, a line that begins with RW", release.ErrInvalid, key)
	}
	return publicKey(m), nil
}

// publicKey takes the library's key apart, which keeps its bytes to itself.
func publicKey(m minisign.PublicKey) PublicKey {
	var k PublicKey
	// It cannot fail: the library has just encoded a key of this length.
	_, _ = base64.StdEncoding.Decode(k.raw[:], []byte(m.String()))
	return k
}

// minisign is the key as the library wants it; that of the zero key verifies
// nothing.
func (k PublicKey) minisign() minisign.PublicKey {
	var m minisign.PublicKey
	_ = m.UnmarshalText([]byte(k.String()))
	return m
}

// String is the key's line of base64.
func (k PublicKey) String() string { return base64.StdEncoding.EncodeToString(k.raw[:]) }

// ID names the key as minisign prints it, in hex. It is a hint only: anyone can
// make a key with a given ID.
func (k PublicKey) ID() string { return printID(k.id()) }

// IsZero reports whether k was never set.
func (k PublicKey) IsZero() bool { return k == PublicKey{} }

// File is the text of a .pub file.
func (k PublicKey) File() []byte {
	return fmt.Appendf(nil, "untrusted comment: minisign public key %s\n%s\n", k.ID(), k)
}

// MarshalText implements encoding.TextMarshaler.
func (k PublicKey) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, fmt.Errorf("%w public key: it is empty", release.ErrInvalid)
	}
	return []byte(k.String()), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *PublicKey) UnmarshalText(b []byte) error {
	v, err := ParsePublicKey(string(b))
	*k = v
	return err
}

func (k PublicKey) id() uint64 { return binary.LittleEndian.Uint64(k.raw[algorithmLen:]) }

// point is the Ed25519 key itself. Keys with the same point are the same key,
// whatever ID they go by.
func (k PublicKey) point() [pointLen]byte { return [pointLen]byte(k.raw[algorithmLen+idLen:]) }

func printID(id uint64) string { return strings.ToUpper(strconv.FormatUint(id, 16)) }
