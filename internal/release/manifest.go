package release

import (
	"fmt"
	"math/bits"
	"time"
)

// Piece lengths, in bytes; all are powers of two. The bounds are crow's own
// (BEP 52 asks for 16 KiB or more).
const (
	MinPieceLength = 64 << 10
	MaxPieceLength = 8 << 20
)

// MaxArtifactSize bounds an artifact, in bytes: 1 TiB. At MaxPieceLength that
// is 131,072 pieces, a 4 MiB torrent.
const MaxArtifactSize = 1 << 40

// ManifestSchema is the version of the manifest's form.
const ManifestSchema = 1

// Manifest describes one release. It is immutable: what hosts run is what the
// manifest's digests say.
type Manifest struct {
	Schema      int    `json:"schema"`
	App         string `json:"app"`
	Version     string `json:"version"`
	Counter     uint64 `json:"counter"` // grows with every release of the app
	SHA256      Digest `json:"sha256"`  // of the artifact
	Size        int64  `json:"size"`    // of the artifact, in bytes
	Format      Format `json:"format"`
	InfoHash    Digest `json:"infohash"`     // BitTorrent v2, whole
	PieceLength int64  `json:"piece_length"` // in bytes
	// Created and Expires are in UTC and whole seconds; a zero Expires is never.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

// Ref names the release that m describes.
func (m Manifest) Ref() Ref { return Ref{App: m.App, Version: m.Version} }

// Validate checks every field by itself.
func (m Manifest) Validate() error {
	if err := m.Ref().Validate(); err != nil {
		return err
	}
	switch {
	case m.Schema != ManifestSchema:
		return fmt.Errorf("%w manifest of %s: schema %d, this crow knows %d", ErrInvalid, m.Ref(), m.Schema, ManifestSchema)
	case m.Counter == 0:
		return fmt.Errorf("%w manifest of %s: counter is missing", ErrInvalid, m.Ref())
	case m.Size <= 0 || m.Size > MaxArtifactSize:
		return fmt.Errorf("%w manifest of %s: size %d, want 1 to %d bytes", ErrInvalid, m.Ref(), m.Size, int64(MaxArtifactSize))
	case m.SHA256.IsZero() || m.InfoHash.IsZero():
		return fmt.Errorf("%w manifest of %s: a digest is missing", ErrInvalid, m.Ref())
	case !validPieceLength(m.PieceLength):
		return fmt.Errorf("%w manifest of %s: piece length %d, want a power of two from %d to %d",
			ErrInvalid, m.Ref(), m.PieceLength, MinPieceLength, MaxPieceLength)
	case m.Created.IsZero():
		return fmt.Errorf("%w manifest of %s: created is missing", ErrInvalid, m.Ref())
	}
	return nil
}

func validPieceLength(n int64) bool {
	return n >= MinPieceLength && n <= MaxPieceLength && bits.OnesCount64(uint64(n)) == 1
}

// PieceLengthFor chooses the piece length, in bytes, for an artifact of size
// bytes: the smallest power of two, within the bounds, that gives at most 512
// pieces. Artifacts from 16 MiB to 4 GiB so have 256 to 512 pieces: enough for
// a swarm to pass on early what it has, few enough for its bookkeeping.
func PieceLengthFor(size int64) int64 {
	const maxPieces = 512
	n := int64(MinPieceLength)
	for n < MaxPieceLength && size > maxPieces*n {
		n *= 2
	}
	return n
}

// Encode gives the manifest's one encoding: JSON without white space, fields
// in the order of the struct.
func (m Manifest) Encode() ([]byte, error) {
	// First, since a time within the zero second becomes the zero time.
	m.Created, m.Expires = inSeconds(m.Created), inSeconds(m.Expires)
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return encodeJSON(m, "manifest")
}

// DecodeManifest reads what Encode wrote. Unknown, doubled or missing fields,
// white space and anything behind the document are errors: only the one
// encoding of a manifest decodes.
func DecodeManifest(b []byte) (Manifest, error) { return decodeCanonical[Manifest](b, "manifest") }
