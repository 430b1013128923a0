package signing

import (
	"fmt"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// Verify checks that at least Threshold different trusted keys have signed the
// message. Each signature is the text of a .minisig file. The first MaxSignatures
// are looked at, and of these only what has at most MaxSignatureLen bytes; one
// that is worth nothing does no harm to the others, and a second one of the same
// key does not count. The error is ErrUntrusted and says in one line what there
// was.
func (t Trust) Verify(message []byte, signatures []string) error {
	if err := t.Validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrusted, err)
	}
	seen := tally{signers: map[[pointLen]byte]bool{}}
	for i, text := range signatures {
		if i == MaxSignatures {
			seen.ignored = len(signatures) - i
			break
		}
		seen.add(t.Keys, message, text)
	}
	if len(seen.signers) >= t.Threshold {
		return nil
	}
	return fmt.Errorf("%w: %s", ErrUntrusted, seen.describe(t.Threshold))
}

// tally counts what a document's signatures are worth.
type tally struct {
	signers    map[[pointLen]byte]bool // trusted keys whose signature is valid
	strangers  []string                // IDs that signatures of other keys claim, each once
	mismatched []string                // IDs of trusted keys whose signature is not of this message, each once
	unread     int
	why        error // why the first of those could not be read
	ignored    int
}

func (s *tally) add(keys []PublicKey, message []byte, text string) {
	signature, err := parseSignature(text)
	if err != nil {
		if s.unread++; s.why == nil {
			s.why = err
		}
		return
	}
	known := false
	for _, k := range keys {
		if k.id() != signature.KeyID {
			continue
		}
		known = true
		if minisign.Verify(k.minisign(), message, []byte(text)) {
			s.signers[k.point()] = true
			return
		}
	}
	if known {
		s.mismatched = addOnce(s.mismatched, printID(signature.KeyID))
	} else {
		s.strangers = addOnce(s.strangers, printID(signature.KeyID))
	}
}

// describe tells in one line what there was, for people who look for the
// signature that is missing.
func (s *tally) describe(threshold int) string {
	parts := []string{fmt.Sprintf("valid ones of %d of %d needed keys", len(s.signers), threshold)}
	if len(s.strangers) > 0 {
		parts = append(parts, "others of keys that are not trusted: "+strings.Join(s.strangers, " "))
	}
	if len(s.mismatched) > 0 {
		parts = append(parts, "others of something else, by trusted keys: "+strings.Join(s.mismatched, " "))
	}
	if s.unread > 0 {
		parts = append(parts, fmt.Sprintf("%d that cannot be read: %v", s.unread, s.why))
	}
	if s.ignored > 0 {
		parts = append(parts, fmt.Sprintf("%d more than are looked at", s.ignored))
	}
	return strings.Join(parts, "; ")
}

func addOnce(all []string, s string) []string {
	if slices.Contains(all, s) {
		return all
	}
	return append(all, s)
}
