package swarm

import (
	"math/bits"
	"sync/atomic"
)

// holdings tells how many of a transfer's neighbours hold each piece.
type holdings []atomic.Int32

// pieceSet is what one neighbour holds: one bit a piece.
type pieceSet []atomic.Uint32

func newPieceSet(pieces int) pieceSet { return make(pieceSet, (pieces+31)/32) }

// add notes that the neighbour holds a piece.
func (h holdings) add(s pieceSet, piece int) {
	if piece < 0 || piece >= len(h) {
		return // a neighbour may say anything
	}
	if bit := uint32(1) << (piece % 32); s[piece/32].Or(bit)&bit == 0 {
		h[piece].Add(1)
	}
}

// addBitfield notes a bitfield (BEP 3: the first piece is the high bit of the
// first byte).
func (h holdings) addBitfield(s pieceSet, bitfield []byte) {
	for i := range h {
		if i/8 < len(bitfield) && bitfield[i/8]&(0x80>>(i%8)) != 0 {
			h.add(s, i)
		}
	}
}

func (h holdings) addAll(s pieceSet) {
	for i := range h {
		h.add(s, i)
	}
}

// of is how many neighbours hold a piece.
func (h holdings) of(piece int) int {
	if piece < 0 || piece >= len(h) {
		return 0
	}
	return int(h[piece].Load())
}

// leave takes a neighbour's pieces off the count.
func (h holdings) leave(s pieceSet) {
	for i := range s {
		for w := s[i].Swap(0); w != 0; w &= w - 1 {
			h[i*32+bits.TrailingZeros32(w)].Add(-1)
		}
	}
}
