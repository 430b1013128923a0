package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxManifestLen bounds an encoded document, a manifest or a rollback
// statement, in bytes.
const MaxManifestLen = 4 << 10

// document is what hosts are handed with signatures: it has one encoding only,
// since signatures are over bytes.
type document interface {
	// Encode gives the one encoding of a valid document.
	Encode() ([]byte, error)
	// Ref names the release that the document is about.
	Ref() Ref
}

// encodeJSON encodes a document that was found valid: JSON without white space,
// fields in the order of the struct.
func encodeJSON(d document, what string) ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, fmt.Errorf("%w %s of %s: %w", ErrInvalid, what, d.Ref(), err) // a year that JSON has no form for
	}
	return b, nil
}

// decodeCanonical reads what Encode wrote. Unknown, doubled or missing fields,
// white space and anything behind the document are errors: only the one
// encoding of a document decodes.
func decodeCanonical[T document](b []byte, what string) (T, error) {
	var d, none T
	if len(b) > MaxManifestLen {
		return none, fmt.Errorf("%w %s: %d bytes, at most %d are allowed", ErrInvalid, what, len(b), MaxManifestLen)
	}
	if err := decodeStrict(b, &d); err != nil {
		return none, fmt.Errorf("%w %s: %w", ErrInvalid, what, err)
	}
	again, err := d.Encode()
	if err != nil {
		return none, err
	}
	if !bytes.Equal(again, b) {
		return none, fmt.Errorf("%w %s of %s: not in canonical form", ErrInvalid, what, d.Ref())
	}
	return d, nil
}

func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the document")
	}
	return nil
}

// inSeconds is t as documents hold times: in UTC and whole seconds.
func inSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
