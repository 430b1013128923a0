// Package signing says who made a release: keys, signatures over documents, and
// how many of which keys it takes.
//
// Its files are those of minisign: keys and signatures that crow makes can be
// used with minisign, and the other way round. A signature is over the
// document's very bytes and is kept beside it.
//
// The package owns formats and the rule of who is trusted. What a document
// means, and whether it is too old, is for internal/release to say; where keys
// lie and how a passphrase is asked for is for cmd.
package signing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"aead.dev/minisign"

	"crow/internal/release"
)

// ErrUntrusted marks a document that too few trusted keys have signed.
var ErrUntrusted = errors.New("signatures are not trusted")

// Limits of what is read and looked at. Lengths are in bytes.
const (
	MaxKeys         = 16      // in a host's config: people who release
	MaxSignatures   = 32      // of one document: every trusted key's, and as many of keys on their way in or out
	MaxSignatureLen = 1 << 10 // minisign's have about 350, comments included
	maxKeyFileLen   = 4 << 10 // minisign's have about 300
	maxCommentLen   = 512     // so that what Sign makes stays below MaxSignatureLen
)

// Sign returns the text of a .minisig file: a signature of the message, hashed
// with BLAKE2b first, as minisign -S makes it. The comment is signed too. It is
// one printable line of at most 512 bytes; what is not is taken out or cut off.
func Sign(key PrivateKey, message []byte, comment string) string {
	r := minisign.NewReader(bytes.NewReader(message))
	_, _ = io.Copy(io.Discard, r) // memory does not fail to be read
	return string(r.SignWithComments(key.key, line(comment), "signature of key "+key.Public().ID()))
}

// line cuts a comment down to what fits, between two characters.
func line(comment string) string {
	s := release.Printable(comment)
	if len(s) <= maxCommentLen {
		return s
	}
	return strings.ToValidUTF8(s[:maxCommentLen], "")
}

// parseSignature reads the text of a .minisig file. Only the one form that Sign
// and minisign write is accepted: no byte of it but those of the untrusted
// comment, which nothing uses, can be another without the signature failing.
func parseSignature(text string) (minisign.Signature, error) {
	var s minisign.Signature
	if len(text) > MaxSignatureLen {
		return s, fmt.Errorf("%w signature: over %d bytes", release.ErrInvalid, MaxSignatureLen)
	}
	if err := s.UnmarshalText([]byte(text)); err != nil || s.String() != text {
		return s, fmt.Errorf("%w signature: not the text of a .minisig file", release.ErrInvalid)
	}
	// The older form signs the message unhashed, and so without keeping it apart
	// from all else that the key signs: comments, and hashes.
	if s.Algorithm != minisign.HashEdDSA {
		return s, fmt.Errorf("%w signature: it is of minisign's older form, made with -l", release.ErrInvalid)
	}
	return s, nil
}
