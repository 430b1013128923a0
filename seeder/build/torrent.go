package build

import (
	"bytes"
	"crypto/sha256"
	"fmt"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/merkle"
	"github.com/anacrolix/torrent/metainfo"

	"crow/internal/control"
	"crow/internal/release"
)

// torrentOf makes the torrent (BEP 52) of an artifact, and returns its v2
// infohash too. The one file in it is called by the artifact's SHA-256: nothing
// but the content decides what the torrent is.
func torrentOf(b control.Blob, pieces []digest) ([]byte, release.Digest, error) {
	root := merkle.RootWithPadHash(pieces, metainfo.HashForPiecePad(b.PieceLength))
	private := true
	info := metainfo.Info{
		Name:        b.SHA256.String(),
		PieceLength: b.PieceLength,
		Private:     &private,
		MetaVersion: 2,
		FileTree: metainfo.FileTree{Dir: map[string]metainfo.FileTree{
			b.SHA256.String(): {File: metainfo.FileTreeFile{Length: b.Size, PiecesRoot: string(root[:])}},
		}},
	}
	infoBytes, err := bencode.Marshal(&info) // by value the file tree would be lost
	if err != nil {
		return nil, release.Digest{}, fmt.Errorf("encode torrent info: %w", err)
	}
	torrent := metainfo.MetaInfo{InfoBytes: infoBytes}
	if b.Size > b.PieceLength { // else the root says it all, and BEP 52 wants no layer
		torrent.PieceLayers = map[string]string{string(root[:]): concat(pieces)}
	}
	encoded, err := bencode.Marshal(&torrent)
	if err != nil {
		return nil, release.Digest{}, fmt.Errorf("encode torrent: %w", err)
	}
	return encoded, sha256.Sum256(infoBytes), nil
}

// WithTrackers returns a torrent with announce URLs (BEP 3, 12), by which any
// client can join its swarm. The infohash stays: it is the hash of other bytes.
func WithTrackers(torrent []byte, announceURLs []string) ([]byte, error) {
	m, err := metainfo.Load(bytes.NewReader(torrent))
	if err != nil {
		return nil, fmt.Errorf("decode torrent: %w", err)
	}
	if len(announceURLs) > 0 {
		m.Announce = announceURLs[0]
	}
	if len(announceURLs) > 1 {
		m.AnnounceList = metainfo.AnnounceList{announceURLs}
	}
	encoded, err := bencode.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode torrent: %w", err)
	}
	return encoded, nil
}

func concat(nodes []digest) string {
	b := make([]byte, 0, len(nodes)*sha256.Size)
	for _, n := range nodes {
		b = append(b, n[:]...)
	}
	return string(b)
}
