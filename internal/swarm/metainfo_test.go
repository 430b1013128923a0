package swarm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/metainfo"

	"crow/internal/release"
)

// hostileTorrents are variations of a good torrent that a host must refuse. Each
// has the right form but for one thing.
func hostileTorrents(good []byte) map[string][]byte {
	swap := func(old, with string) []byte { return bytes.Replace(good, []byte(old), []byte(with), 1) }
	deep := strings.Repeat("d1:a", 50_000) + "de" + strings.Repeat("e", 50_000)
	return map[string][]byte{
		"nothing":                  nil,
		"no bencode":               []byte("hello"),
		"a number":                 []byte("i1e"),
		"an endless number":        []byte("i" + strings.Repeat("9", 100_000) + "e"),
		"a string of 4 GiB":        []byte("4294967296:x"),
		"no info":                  []byte("d8:announce3:abce"),
		"info that is a list":      []byte("d4:infolee"),
		"nested 50,000 deep":       []byte(deep),
		"a file tree 50,000 deep":  swap("9:file treed", "9:file treed1:b"+deep),
		"another file":             swap("9:file treed", "9:file treed1:bd0:d6:lengthi1eee"),
		"an endless list":          []byte(strings.Repeat("l", 100_000)),
		"version 1":                swap("12:meta versioni2e", "12:meta versioni1e"),
		"version 3":                swap("12:meta versioni2e", "12:meta versioni3e"),
		"not private":              swap("7:privatei1e", "7:privatei0e"),
		"pieces of nothing":        swap("12:piece lengthi65536e", "12:piece lengthi0e"),
		"pieces below zero":        swap("12:piece lengthi65536e", "12:piece lengthi-65536e"),
		"pieces of 2^62 bytes":     swap("12:piece lengthi65536e", "12:piece lengthi4611686018427387904e"),
		"a file of nothing":        swap("6:lengthi200000e", "6:lengthi0e"),
		"a file below zero":        swap("6:lengthi200000e", "6:lengthi-1e"),
		"a file of 2^62 bytes":     swap("6:lengthi200000e", "6:lengthi4611686018427387904e"),
		"a longer file":            swap("6:lengthi200000e", "6:lengthi300000e"),
		"another piece's hash":     flipLast(good),
		"no layers":                swap("12:piece layers", "12:piece lawyers"),
		"cut off":                  good[:len(good)/2],
		"a name that leaves":       swap("9:file treed8:artifact", "9:file treed8:../../ab"),
		"a root of other bytes":    swap("11:pieces root32:", "11:pieces root31:"),
		"a negative string length": swap("4:name8:", "4:name-8:"),
	}
}

// flipLast changes the last byte of the last layer.
func flipLast(b []byte) []byte {
	b = bytes.Clone(b)
	b[len(b)-len("ee")-1] ^= 1
	return b
}

func TestParseTorrentRefuses(t *testing.T) {
	good := makeTorrent(t, randomArtifact(200_000))
	m, err := ParseTorrent(good)
	if err != nil || m.Size != 200_000 || m.Pieces != 4 || m.PieceLength != 65536 {
		t.Fatalf("the good one is %+v, %v", m, err)
	}
	for name, b := range hostileTorrents(good) {
		if bytes.Equal(b, good) {
			t.Errorf("%s: the case changes nothing", name)
		}
		other, err := ParseTorrent(b)
		switch {
		case err == nil && other.InfoHash != m.InfoHash && name == "a name that leaves":
			// Names are never used, and another infohash is not the manifest's.
		case !errors.Is(err, release.ErrInvalid):
			t.Errorf("%s: %v", name, err)
		case strings.Contains(err.Error(), "\n"):
			t.Errorf("%s: the error has lines: %v", name, err)
		}
	}
}

// FuzzParseTorrent holds that what is taken makes sense, and that nothing else
// makes it panic.
func FuzzParseTorrent(f *testing.F) {
	good := makeTorrent(f, randomArtifact(200_000))
	f.Add(good)
	f.Add(makeTorrent(f, randomArtifact(10)))
	for _, b := range hostileTorrents(good) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseTorrent(b)
		if err != nil {
			return
		}
		pieces := (m.Size + m.PieceLength - 1) / m.PieceLength
		if m.Size <= 0 || m.Size > release.MaxArtifactSize || m.PieceLength < release.MinPieceLength || int64(m.Pieces) != pieces || m.InfoHash.IsZero() {
			t.Error(fmt.Errorf("taken: %+v", m))
		}
		layer := 0
		for _, l := range m.layers {
			layer += len(l)
		}
		if pieces > 1 && int64(layer) < 32*pieces {
			t.Errorf("%d pieces, hashes for %d", pieces, layer/32)
		}
	})
}

// The client counts pieces thousands of times in a transfer: its tree of files is the file
// alone, and says the same of it.
func TestTheClientsTreeIsFlat(t *testing.T) {
	artifact := randomArtifact(200_000)
	m, err := ParseTorrent(makeTorrent(t, artifact))
	if err != nil {
		t.Fatal(err)
	}
	mi := metainfo.MetaInfo{InfoBytes: m.infoBytes, PieceLayers: m.layers}
	info, err := mi.UnmarshalInfo()
	if err != nil {
		t.Fatal(err)
	}
	f, err := openComplete(writeFile(t, artifact), m)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before := info.UpvertedFiles()[0]
	if _, err := f.OpenTorrent(t.Context(), &info, metainfo.Hash{}); err != nil {
		t.Fatal(err)
	}
	files := info.UpvertedFiles()
	if info.FileTree.IsDir() || len(files) != 1 || files[0].Length != before.Length || files[0].PiecesRoot != before.PiecesRoot {
		t.Errorf("the tree is %+v with the files %+v, want %+v alone", info.FileTree, files, before)
	}
	if info.NumPieces() != m.Pieces || info.TotalLength() != m.Size {
		t.Errorf("it has %d pieces of %d bytes, want %d of %d", info.NumPieces(), info.TotalLength(), m.Pieces, m.Size)
	}
}
