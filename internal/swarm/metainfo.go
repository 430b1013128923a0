package swarm

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/anacrolix/torrent/metainfo"

	"crow/internal/release"
)

// Torrent is a parsed torrent of one file, BitTorrent v2 only (BEP 52).
type Torrent struct {
	InfoHash    release.Digest
	Size        int64 // of the artifact, in bytes
	PieceLength int64 // in bytes
	Pieces      int

	infoBytes []byte
	layers    map[string]string
}

// ParseTorrent reads a bencoded torrent and checks that it is of the one form
// that crow makes: v2, private, a single file, with the hash of every piece.
func ParseTorrent(b []byte) (Torrent, error) {
	mi, err := metainfo.Load(bytes.NewReader(b))
	if err != nil {
		return Torrent{}, fmt.Errorf("%w torrent: %w", release.ErrInvalid, err)
	}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		return Torrent{}, fmt.Errorf("%w torrent: info: %w", release.ErrInvalid, err)
	}
	files := info.UpvertedFiles()
	switch {
	case !info.HasV2() || info.HasV1():
		return Torrent{}, fmt.Errorf("%w torrent: not BitTorrent v2 only", release.ErrInvalid)
	case len(files) != 1 || info.Private == nil || !*info.Private:
		return Torrent{}, fmt.Errorf("%w torrent: not a private torrent of one file", release.ErrInvalid)
	case info.PieceLength < release.MinPieceLength || info.PieceLength > release.MaxPieceLength:
		return Torrent{}, fmt.Errorf("%w torrent: piece length %d", release.ErrInvalid, info.PieceLength)
	case files[0].Length <= 0 || files[0].Length > release.MaxArtifactSize:
		return Torrent{}, fmt.Errorf("%w torrent: size %d", release.ErrInvalid, files[0].Length)
	}
	if err := metainfo.ValidatePieceLayers(mi.PieceLayers, &info.FileTree, info.PieceLength); err != nil {
		return Torrent{}, fmt.Errorf("%w torrent: piece layers: %w", release.ErrInvalid, err)
	}
	size := files[0].Length
	return Torrent{
		InfoHash: sha256.Sum256(mi.InfoBytes), Size: size, PieceLength: info.PieceLength,
		Pieces: int((size + info.PieceLength - 1) / info.PieceLength), infoBytes: mi.InfoBytes, layers: mi.PieceLayers,
	}, nil
}
