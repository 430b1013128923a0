package build

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"crow/internal/release"
)

// wholeTree builds every layer of the v2 tree as BEP 52 words it, with nothing
// saved: leaves of 16 KiB, zeros up to a power of two, pairs hashed upwards.
// The first layer is that of the leaves, the last one the root.
func wholeTree(leaves []digest) [][]digest {
	width := 1
	for width < len(leaves) {
		width *= 2
	}
	layers := [][]digest{append(slices.Clone(leaves), make([]digest, width-len(leaves))...)}
	for at := layers[0]; len(at) > 1; {
		var up []digest
		for i := 0; i < len(at); i += 2 {
			up = append(up, sha256.Sum256(append(at[i][:], at[i+1][:]...)))
		}
		layers, at = append(layers, up), up
	}
	return layers
}

func leavesOf(data []byte) []digest {
	var l []digest
	for chunk := range slices.Chunk(data, 16<<10) {
		l = append(l, sha256.Sum256(chunk))
	}
	return l
}

// reference returns the root of the tree over leaves, and the layer of pieces
// of which each has perPiece leaves, without what only pads.
func reference(leaves []digest, perPiece int) (root digest, pieces []digest) {
	layers, up := wholeTree(leaves), 0
	for 1<<up < perPiece {
		up++
	}
	if root = layers[len(layers)-1][0]; up >= len(layers) {
		return root, []digest{root}
	}
	return root, layers[up][:(len(leaves)+perPiece-1)/perPiece]
}

// made are leaves that stand for content nobody has to hash.
func made(n int) []digest {
	l := make([]digest, n)
	for i := range l {
		binary.BigEndian.PutUint64(l[i][:], uint64(i)+1)
	}
	return l
}

// climbed is the layer of pieces that layer makes of the same leaves.
func climbed(leaves []digest, size int64) (pieces []digest, widest int) {
	l := layer{span: spanLen}
	for span := range slices.Chunk(leaves, spanLeaves) {
		whole := wholeTree(append(slices.Clone(span), make([]digest, spanLeaves-len(span))...))
		l.add(whole[len(whole)-1][0])
		widest = max(widest, len(l.nodes)+len(l.below))
	}
	return l.pieces(release.PieceLengthFor(size)), widest
}

func TestLayerClimbs(t *testing.T) {
	const leafLen = 16 << 10
	rapid.Check(t, func(rt *rapid.T) {
		// Up to 512 MiB, where the layer has climbed four times.
		spans := rapid.IntRange(1, 1<<rapid.IntRange(1, 13).Draw(rt, "magnitude")).Draw(rt, "spans")
		n := spans*spanLeaves + rapid.IntRange(1, spanLeaves).Draw(rt, "leaves")
		checkLayer(rt, int64(n)*leafLen-rapid.Int64Range(0, leafLen-1).Draw(rt, "missing"))
	})
	for _, at := range []int64{32 << 20, 64 << 20, 512 << 20, 4 << 30} {
		for _, off := range []int64{-spanLen, -1, 0, 1, spanLen + 1} {
			checkLayer(t, at+off)
		}
	}
}

func checkLayer(t rapid.TB, size int64) {
	const leafLen = 16 << 10
	length := release.PieceLengthFor(size)
	leaves := made(int((size + leafLen - 1) / leafLen))
	got, widest := climbed(leaves, size)
	if _, want := reference(leaves, int(length/leafLen)); !slices.Equal(got, want) {
		t.Errorf("%d bytes: %d pieces of %d bytes differ from %d", size, len(got), length, len(want))
	}
	if most := 512 + 2 + release.MaxPieceLength/spanLen; widest > most {
		t.Errorf("%d bytes: %d nodes were held, want at most %d", size, widest, most)
	}
}
