package swarm

import "encoding/binary"

// The frame types that are looked at (BEP 3; from HaveAll on BEP 6). Request, Cancel
// and Reject name a block by piece, offset and length.
const (
	frameChoke    = 0
	frameHave     = 4
	frameBitfield = 5
	frameRequest  = 6
	framePiece    = 7
	frameCancel   = 8
	frameHaveAll  = 14
	frameHaveNone = 15
	frameReject   = 16
)

// The wire begins with a handshake (BEP 3): protocol name and reserved bits,
// infohash, peer ID.
const (
	handshakeLen  = 68
	handshakeHash = 28 // offset of the infohash
	handshakePeer = 48 // offset of the peer ID

	handshakeReserved = 20 // offset of the reserved bits, of 8 bytes
	fastBit           = 4  // in the last of these: rejects what it does not answer (BEP 6)
)

const (
	lengthLen   = 4               // of a frame's length field, in bytes
	headLen     = lengthLen + 1   // with the type
	pieceFields = 8               // of a piece's index and offset before its payload, in bytes
	maxCapture  = 1<<17/8 + 1<<10 // a bitfield of the most pieces that an artifact has, in bytes
	haveLen     = headLen + 4     // a whole Have frame, in bytes
)

// sink is told what a framer has seen. Slices are valid during the call only.
type sink interface {
	handshake(h []byte)
	frame(kind byte, body []byte) // all but pieces that are looked at
	payload(n int)                // bytes of a piece that passed
}

// framer follows one direction of a peer wire stream, however it is cut into
// reads or writes. It keeps up with whatever passes and judges nothing: a
// stream that is not BitTorrent only makes it report nonsense, which counts.
type framer struct {
	shook   []byte // the handshake so far
	head    []byte // length and type of the frame under way, so far
	kind    byte
	left    int    // bytes of the frame still to come
	fields  int    // of these, bytes before a piece's payload
	capture bool   // the body is wanted
	body    []byte // of a captured frame, so far
}

// atBoundary reports whether the next byte begins a frame.
func (f *framer) atBoundary() bool {
	return f.greeted() && len(f.head) == 0 && f.left == 0
}

// greeted reports whether the handshake has passed.
func (f *framer) greeted() bool { return len(f.shook) == handshakeLen }

// pieceLeft is how many bytes of a piece frame are still to come; 0 between
// frames and within others.
func (f *framer) pieceLeft() int {
	if f.kind != framePiece {
		return 0
	}
	return f.left
}

func (f *framer) feed(b []byte, s sink) {
	for len(b) > 0 {
		switch {
		case len(f.shook) < handshakeLen:
			b = f.feedHandshake(b, s)
		case f.left == 0:
			b = f.feedHead(b, s)
		default:
			b = f.feedBody(b, s)
		}
	}
}

func (f *framer) feedHandshake(b []byte, s sink) []byte {
	n := min(len(b), handshakeLen-len(f.shook))
	f.shook = append(f.shook, b[:n]...)
	if len(f.shook) == handshakeLen {
		s.handshake(f.shook)
	}
	return b[n:]
}

func (f *framer) feedHead(b []byte, s sink) []byte {
	n := min(len(b), headLen-len(f.head))
	if len(f.head)+n >= lengthLen && binary.BigEndian.Uint32(append(f.head[:len(f.head):len(f.head)], b[:n]...)) == 0 {
		n = lengthLen - len(f.head) // a keep-alive has no type
		f.head = f.head[:0]
		return b[n:]
	}
	f.head = append(f.head, b[:n]...)
	if len(f.head) == headLen {
		f.begin(int(binary.BigEndian.Uint32(f.head))-1, f.head[lengthLen], s)
	}
	return b[n:]
}

// begin starts a frame of a kind with length bytes to come.
func (f *framer) begin(length int, kind byte, s sink) {
	f.head, f.kind, f.left, f.fields, f.body = f.head[:0], kind, length, 0, f.body[:0]
	switch kind {
	case framePiece:
		f.fields = min(pieceFields, length)
	case frameChoke, frameHave, frameBitfield, frameHaveAll, frameHaveNone, frameRequest, frameCancel, frameReject:
		f.capture = length <= maxCapture
		f.finish(s)
		return
	}
	f.capture = false
}

func (f *framer) feedBody(b []byte, s sink) []byte {
	n := min(len(b), f.left)
	f.left -= n
	switch {
	case f.capture:
		f.body = append(f.body, b[:n]...)
		f.finish(s)
	case f.kind == framePiece:
		fields := min(n, f.fields)
		f.fields -= fields
		s.payload(n - fields)
	}
	return b[n:]
}

// skip follows n bytes of a piece's payload that passed unseen.
func (f *framer) skip(n int, s sink) {
	f.left -= n
	s.payload(n)
}

func (f *framer) finish(s sink) {
	if f.capture && f.left == 0 {
		s.frame(f.kind, f.body)
	}
}

// appendHave appends a Have frame.
func appendHave(b []byte, piece int) []byte {
	b = append(b, 0, 0, 0, 5, frameHave)
	return binary.BigEndian.AppendUint32(b, uint32(piece))
}

// hideHaves returns whole frames as they are but for the first that tells which
// pieces the sender has: HaveAll becomes HaveNone, and a Bitfield, which goes to
// a neighbour without BEP 6, is left out, as it may be by one that has nothing.
// found tells whether there was one.
func hideHaves(frames []byte) (hidden []byte, found bool) {
	for at := 0; at+headLen <= len(frames); {
		length := int(binary.BigEndian.Uint32(frames[at:]))
		end := at + lengthLen + length
		if length == 0 || end > len(frames) {
			at = end
			continue
		}
		switch frames[at+lengthLen] {
		case frameHaveAll:
			hidden = append(hidden, frames...)
			hidden[at+lengthLen] = frameHaveNone
			return hidden, true
		case frameBitfield:
			hidden = append(hidden, frames[:at]...)
			return append(hidden, frames[end:]...), true
		}
		at = end
	}
	return frames, false
}
