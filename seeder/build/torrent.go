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

// WithTrackers returns a torrent of this package's with announce URLs (BEP 3,
// 12), by which any client can join its swarm. The infohash stays: it is the hash
// of other bytes. Each host of a fleet asks for it, so the torrent, which may
// be megabytes, is not decoded: its first key comes behind those of the URLs.
func WithTrackers(torrent []byte, announceURLs []string) ([]byte, error) {
	if !bytes.HasPrefix(torrent, []byte("d4:info")) {
		return nil, fmt.Errorf("%w torrent: it does not begin with its info", release.ErrInvalid)
	}
	urls := map[string]any{}
	if len(announceURLs) > 0 {
		urls["announce"] = announceURLs[0]
	}
	if len(announceURLs) > 1 {
		urls["announce-list"] = [][]string{announceURLs}
	}
	head, err := bencode.Marshal(urls)
	if err != nil {
		return nil, fmt.Errorf("encode announce URLs: %w", err)
	}
	return append(head[:len(head)-1], torrent[1:]...), nil
}

func concat(nodes []digest) string {
	b := make([]byte, 0, len(nodes)*sha256.Size)
	for _, n := range nodes {
		b = append(b, n[:]...)
	}
	return string(b)
}
