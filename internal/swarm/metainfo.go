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
	// Before anything that counts pieces: the library divides by their length.
	if info.PieceLength < release.MinPieceLength || info.PieceLength > release.MaxPieceLength {
		return Torrent{}, fmt.Errorf("%w torrent: piece length %d", release.ErrInvalid, info.PieceLength)
	}
	file, ok := onlyFile(info.FileTree)
	switch {
	case !info.HasV2() || info.HasV1():
		return Torrent{}, fmt.Errorf("%w torrent: not BitTorrent v2 only", release.ErrInvalid)
	case !ok || info.Private == nil || !*info.Private:
		return Torrent{}, fmt.Errorf("%w torrent: not a private torrent of one file", release.ErrInvalid)
	case file.Length <= 0 || file.Length > release.MaxArtifactSize:
		return Torrent{}, fmt.Errorf("%w torrent: size %d", release.ErrInvalid, file.Length)
	}
	pieces := int((file.Length + info.PieceLength - 1) / info.PieceLength)
	if err := validateLayers(mi, info, file, pieces); err != nil {
		return Torrent{}, fmt.Errorf("%w torrent: piece layers: %w", release.ErrInvalid, err)
	}
	return Torrent{
		InfoHash: sha256.Sum256(mi.InfoBytes), Size: file.Length, PieceLength: info.PieceLength,
		Pieces: pieces, infoBytes: mi.InfoBytes, layers: mi.PieceLayers,
	}, nil
}

// onlyFile returns the file of a tree that has one, at its top.
func onlyFile(tree metainfo.FileTree) (f metainfo.FileTreeFile, ok bool) {
	if len(tree.Dir) != 1 {
		return f, false
	}
	for _, only := range tree.Dir {
		f, ok = only.File, len(only.Dir) == 0
	}
	return f, ok
}

// flat is a tree of one file without the folder around it: the file alone. The client
// walks the tree each time it counts the pieces, which it does for each piece that it asks
// a neighbour's holdings about, and a folder is a map.
func flat(tree metainfo.FileTree) metainfo.FileTree {
	if only, ok := onlyFile(tree); ok {
		return metainfo.FileTree{File: only}
	}
	return tree
}

// validateLayers checks that there is a hash for each piece, and nothing else: the
// library checks that they lead to the root, and takes too few of them.
func validateLayers(mi *metainfo.MetaInfo, info metainfo.Info, file metainfo.FileTreeFile, pieces int) error {
	want := 0
	if pieces > 1 {
		want = pieces * sha256.Size
	}
	if got := len(mi.PieceLayers[file.PiecesRoot]); got != want || len(mi.PieceLayers) > min(want, 1) {
		return fmt.Errorf("%d bytes in %d layers, want %d in one", got, len(mi.PieceLayers), want)
	}
	return metainfo.ValidatePieceLayers(mi.PieceLayers, &info.FileTree, info.PieceLength)
}
