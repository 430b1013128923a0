package peer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anacrolix/torrent/bencode"
	"github.com/anacrolix/torrent/merkle"
	"github.com/anacrolix/torrent/metainfo"

	"crow/internal/control"
	"crow/internal/release"
)

// warehouse is a folder of artifacts by infohash: where copiers fetch from.
type warehouse struct{ dir string }

func (w warehouse) path(infohash release.Digest) string {
	return filepath.Join(w.dir, infohash.String())
}

// goods is an artifact with its torrent.
type goods struct {
	manifest release.Manifest // of no release yet
	torrent  []byte
}

func (w warehouse) add(t testing.TB, content []byte, format release.Format) goods {
	t.Helper()
	g := makeGoods(t, content, format)
	if err := os.WriteFile(w.path(g.manifest.InfoHash), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return g
}

func makeGoods(t testing.TB, content []byte, format release.Format) goods {
	t.Helper()
	m := release.Manifest{
		Schema: release.ManifestSchema, Counter: 1, SHA256: sha256.Sum256(content), Size: int64(len(content)), Format: format,
		PieceLength: release.PieceLengthFor(int64(len(content))), Created: time.Unix(1_800_000_000, 0).UTC(),
	}
	pieces := pieceRoots(content, int(m.PieceLength))
	root, private, name := merkle.RootWithPadHash(pieces, metainfo.HashForPiecePad(m.PieceLength)), true, m.SHA256.String()
	info, err := bencode.Marshal(&metainfo.Info{
		Name: name, PieceLength: m.PieceLength, Private: &private, MetaVersion: 2,
		FileTree: metainfo.FileTree{Dir: map[string]metainfo.FileTree{
			name: {File: metainfo.FileTreeFile{Length: m.Size, PiecesRoot: string(root[:])}},
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.InfoHash = sha256.Sum256(info)
	mi := metainfo.MetaInfo{InfoBytes: info}
	if m.Size > m.PieceLength {
		var layer []byte
		for _, p := range pieces {
			layer = append(layer, p[:]...)
		}
		mi.PieceLayers = map[string]string{string(root[:]): string(layer)}
	}
	torrent, err := bencode.Marshal(&mi)
	if err != nil {
		t.Fatal(err)
	}
	return goods{m, torrent}
}

// pieceRoots hashes as BEP 52 has it: leaves of 16 KiB, absent ones zero. A
// lone piece's tree is only as wide as its leaves need.
func pieceRoots(content []byte, pieceLength int) [][32]byte {
	var roots [][32]byte
	for off := 0; off < len(content); off += pieceLength {
		piece := content[off:min(off+pieceLength, len(content))]
		var leaves [][32]byte
		for len(piece) > 0 {
			n := min(merkle.BlockSize, len(piece))
			leaves, piece = append(leaves, sha256.Sum256(piece[:n])), piece[n:]
		}
		width := pieceLength / merkle.BlockSize
		if len(content) <= pieceLength {
			width = int(merkle.RoundUpToPowerOfTwo(uint(len(leaves))))
		}
		leaves = append(leaves, make([][32]byte, width-len(leaves))...)
		roots = append(roots, merkle.Root(leaves))
	}
	return roots
}

// order makes an order to set the goods live as a release.
func (g goods) order(deploy, app, version string) control.Order {
	m := g.manifest
	m.App, m.Version, m.Counter = app, version, counterOf(version)
	return control.Order{Deploy: deploy, Manifest: m, Goal: control.GoalActivate}
}

// counterOf has releases follow each other as the numbers in their versions do.
func counterOf(version string) uint64 {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, version)
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil {
		panic(err) // the test's version has no number
	}
	return n + 1
}

// back lets hosts that have accepted whatever came so far go back to an order's
// release.
func back(o control.Order) control.Order {
	m := o.Manifest
	o.Rollback = &control.Rollback{Statement: release.RollbackTo(m, m.Counter+1000, m.Created, time.Time{})}
	return o
}

func fetchOnly(o control.Order) control.Order {
	o.Goal = control.GoalFetch
	return o
}

// tarOf makes an archive of files.
func tarOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, content := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
