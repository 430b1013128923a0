package build

import (
	"crypto/sha256"

	"github.com/anacrolix/torrent/merkle"
	"github.com/anacrolix/torrent/metainfo"

	"crow/internal/release"
)

// digest is a node of the v2 tree.
type digest = [sha256.Size]byte

// A span is the content below the lowest nodes that are kept: as long as the
// shortest piece, so that every possible layer of pieces can be made of them
// once the size, and so the piece length, is known.
const (
	spanLen    = release.MinPieceLength
	spanLeaves = spanLen / merkle.BlockSize
)

// leaves hashes each 16 KiB of b, which may end in a shorter leaf.
func leaves(b []byte) []digest {
	var l []digest
	for ; len(b) > 0; b = b[min(len(b), merkle.BlockSize):] {
		l = append(l, sha256.Sum256(b[:min(len(b), merkle.BlockSize)]))
	}
	return l
}

// hashSpans finds the root of every span in the block. Leaves that a last,
// shorter span lacks are zeros (BEP 52).
func (b *block) hashSpans() {
	for at := 0; at < b.n; at += spanLen {
		var nodes [spanLeaves]digest
		copy(nodes[:], leaves(b.data[at:min(b.n, at+spanLen)]))
		b.roots[at/spanLen] = merkle.Root(nodes[:])
	}
}

// layer is one layer of the tree, from left to right. It climbs as the content
// grows, and so has little more than 512 nodes until pieces are as long as they
// get (release.PieceLengthFor).
type layer struct {
	span  int64    // bytes below each node
	nodes []digest // complete
	below []digest // span roots of the node that is not complete
}

// add appends the root of a span. Only the last one may be of a shorter span:
// no piece length depends on sizes between two multiples of spanLen.
func (l *layer) add(root digest) {
	l.below = append(l.below, root)
	if int64(len(l.below))*spanLen < l.span {
		return
	}
	l.nodes = append(l.nodes, merkle.Root(l.below))
	l.below = l.below[:0]
	for len(l.nodes)%2 == 0 && release.PieceLengthFor(int64(len(l.nodes))*l.span) > l.span {
		l.climb()
	}
}

// climb halves the layer, which must be of an even number of nodes.
func (l *layer) climb() {
	for i := range len(l.nodes) / 2 {
		l.nodes[i] = merkle.Root(l.nodes[2*i : 2*i+2])
	}
	l.nodes = l.nodes[:len(l.nodes)/2]
	l.span *= 2
}

// pieces ends the layer and returns that of pieces of the given length, which
// must not be below the layer's own. What the last piece lacks is padded.
func (l *layer) pieces(length int64) []digest {
	if len(l.below) > 0 {
		for int64(len(l.below))*spanLen < l.span {
			l.below = append(l.below, metainfo.HashForPiecePad(spanLen))
		}
		l.nodes = append(l.nodes, merkle.Root(l.below))
		l.below = nil
	}
	for l.span < length {
		if len(l.nodes)%2 == 1 {
			l.nodes = append(l.nodes, metainfo.HashForPiecePad(l.span))
		}
		l.climb()
	}
	return l.nodes
}
