package control

import (
	"fmt"

	"crow/internal/release"
)

// Limits of the signatures of one document, wherever they travel. Lengths are in
// bytes.
const (
	MaxSignatures   = 32
	MaxSignatureLen = 1 << 10
)

// ValidateSignatures bounds what is stored, handed on and looked at. What the
// signatures are worth is for internal/signing to say. The error is
// release.ErrInvalid.
func ValidateSignatures(signatures []string) error {
	if len(signatures) > MaxSignatures {
		return fmt.Errorf("%w signatures: %d, at most %d are allowed", release.ErrInvalid, len(signatures), MaxSignatures)
	}
	for _, s := range signatures {
		if len(s) > MaxSignatureLen {
			return fmt.Errorf("%w signature: %d bytes, at most %d are allowed", release.ErrInvalid, len(s), MaxSignatureLen)
		}
	}
	return nil
}
