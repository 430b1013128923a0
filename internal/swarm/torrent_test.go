package swarm

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"testing"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/merkle"
	"github.com/anacrolix/torrent/metainfo"

	"crow/internal/release"
)

// block is the leaf of a v2 piece tree, in bytes (BEP 52).
const block = 16 << 10

// randomArtifact returns size bytes that are the same in each run.
func randomArtifact(size int) []byte {
	b := make([]byte, size)
	seed := [32]byte{1}
	rand.NewChaCha8(seed).Read(b)
	return b
}

// makeTorrent builds the torrent of an artifact the plain way.
func makeTorrent(t testing.TB, artifact []byte) []byte {
	t.Helper()
	pieceLength := release.PieceLengthFor(int64(len(artifact)))
	var layer [][32]byte
	for chunk := artifact; len(chunk) > 0; {
		n := min(len(chunk), int(pieceLength))
		layer = append(layer, pieceRoot(chunk[:n], int(pieceLength)))
		chunk = chunk[n:]
	}
	root := layer[0]
	layers := map[string]string{}
	if len(artifact) > int(pieceLength) {
		pad := pieceRoot(nil, int(pieceLength))
		var compact bytes.Buffer
		for _, h := range layer {
			compact.Write(h[:])
		}
		root = merkle.RootWithPadHash(layer, pad)
		layers[string(root[:])] = compact.String()
	} else {
		root = merkle.Root(padded(leaves(artifact), merkle.RoundUpToPowerOfTwo(uint(len(leaves(artifact))))))
	}
	private := true
	info := metainfo.Info{Name: "artifact", PieceLength: pieceLength, MetaVersion: 2, Private: &private}
	info.FileTree.Dir = map[string]metainfo.FileTree{
		"artifact": {File: metainfo.FileTreeFile{Length: int64(len(artifact)), PiecesRoot: string(root[:])}},
	}
	infoBytes, err := bencode.Marshal(&info)
	if err != nil {
		t.Fatal(err)
	}
	mi := metainfo.MetaInfo{InfoBytes: infoBytes, PieceLayers: layers}
	var out bytes.Buffer
	if err := mi.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func leaves(b []byte) (out [][32]byte) {
	for len(b) > 0 {
		n := min(len(b), block)
		out = append(out, sha256.Sum256(b[:n]))
		b = b[n:]
	}
	return out
}

func padded(hashes [][32]byte, n uint) [][32]byte {
	for uint(len(hashes)) < n {
		hashes = append(hashes, [32]byte{})
	}
	return hashes
}

func pieceRoot(b []byte, pieceLength int) [32]byte {
	return merkle.Root(padded(leaves(b), uint(pieceLength/block)))
}
