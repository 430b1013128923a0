package swarm

import (
	"encoding/binary"
	"net"
	"sync/atomic"
)

// standardBlock is the size of a request in BitTorrent, in bytes. BEP 52 builds
// its hash trees on blocks of this size.
const standardBlock = requestSizeStandard

const (
	blockHeadLen = headLen + 12          // of a whole frame that names a block, in bytes
	pieceHeadLen = headLen + pieceFields // of a piece frame before its payload, in bytes
)

// lastBlock is the end of an artifact whose size is no multiple of standardBlock.
type lastBlock struct{ piece, begin, length uint32 }

func newLastBlock(m Torrent) lastBlock {
	inPiece := m.Size - int64(m.Pieces-1)*m.PieceLength
	length := inPiece % standardBlock
	return lastBlock{piece: uint32(m.Pieces - 1), begin: uint32(inPiece - length), length: uint32(length)}
}

// isIn reports whether a frame is about the block. That is never so where the
// last block is as long as any other.
func (b lastBlock) isIn(head []byte) bool {
	return b.length > 0 && binary.BigEndian.Uint32(head[headLen:]) == b.piece && binary.BigEndian.Uint32(head[headLen+4:]) == b.begin
}

// paddedConn lets neighbours join to whom the last block is a whole one, with
// zeros behind the artifact's end: libtorrent before 2.1 asks for no other, and
// rejects requests for what is really there. Frames about that block change
// here on their way, so that the rest of crow need not know. Which of the two a
// neighbour is shows in its own requests, or else when it rejects one.
type paddedConn struct {
	net.Conn
	find func(short [20]byte) *transfer

	last      atomic.Pointer[lastBlock] // set by the neighbour's handshake
	asksWhole atomic.Bool               // it asked for the whole block
	askWhole  atomic.Bool               // it is asked for the whole block

	in      frameEditor // these three are the one reader's
	buf     []byte
	pending []byte // read and edited, not yet returned

	out  frameEditor // these two are the writer's, who holds conn.writing
	sent []byte
}

func newPaddedConn(c net.Conn, find func(short [20]byte) *transfer) *paddedConn {
	p := &paddedConn{Conn: c, find: find}
	p.in.edit, p.out.edit = p.editIn, p.editOut
	p.in.handshake = p.greet
	return p
}

// Read implements net.Conn.
func (p *paddedConn) Read(b []byte) (int, error) {
	for len(p.pending) == 0 {
		if len(p.buf) < len(b) {
			p.buf = make([]byte, len(b))
		}
		n, err := p.Conn.Read(p.buf[:len(b)])
		if p.pending = p.in.feed(p.pending[:0], p.buf[:n]); err != nil && len(p.pending) == 0 {
			return 0, err // else the next read fails
		}
	}
	n := copy(b, p.pending)
	p.pending = p.pending[n:]
	return n, nil
}

// Write implements net.Conn. What it is given is taken whole, or the connection
// is broken.
func (p *paddedConn) Write(b []byte) (int, error) {
	p.sent = p.out.feed(p.sent[:0], b)
	if _, err := p.Conn.Write(p.sent); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (p *paddedConn) greet(h []byte) {
	if t := p.find([20]byte(h[handshakeHash:handshakePeer])); t != nil {
		last := newLastBlock(t.meta)
		p.last.Store(&last)
	}
}

func (p *paddedConn) editIn(head []byte) (drop, zeros int) {
	last := p.last.Load()
	if last == nil || !last.isIn(head) {
		return 0, 0
	}
	whole := lengthIn(head) == standardBlock
	switch head[lengthLen] {
	case frameRequest:
		p.asksWhole.Store(whole)
		p.askWhole.Store(whole)
	case frameReject:
		p.askWhole.Store(!whole)
	}
	if !whole {
		return 0, 0 // the client judges other lengths
	}
	setLength(head, int(last.length))
	if head[lengthLen] == framePiece {
		drop = standardBlock - int(last.length)
	}
	return drop, 0
}

func (p *paddedConn) editOut(head []byte) (drop, zeros int) {
	last := p.last.Load()
	if last == nil || !last.isIn(head) || lengthIn(head) != int(last.length) {
		return 0, 0
	}
	switch head[lengthLen] {
	case frameRequest, frameCancel:
		if p.askWhole.Load() {
			setLength(head, standardBlock)
		}
	case frameReject:
		if p.asksWhole.Load() {
			setLength(head, standardBlock)
		}
	case framePiece:
		if p.asksWhole.Load() {
			setLength(head, standardBlock)
			zeros = standardBlock - int(last.length)
		}
	}
	return 0, zeros
}

// lengthIn is the length of the block that a frame is about.
func lengthIn(head []byte) int {
	if head[lengthLen] == framePiece {
		return int(binary.BigEndian.Uint32(head)) - 1 - pieceFields
	}
	return int(binary.BigEndian.Uint32(head[pieceHeadLen:]))
}

func setLength(head []byte, length int) {
	if head[lengthLen] == framePiece {
		binary.BigEndian.PutUint32(head, uint32(1+pieceFields+length))
		return
	}
	binary.BigEndian.PutUint32(head[pieceHeadLen:], uint32(length))
}

// frameEditor changes the frames about blocks in one direction of a peer wire
// stream, however it is cut.
type frameEditor struct {
	handshake func(h []byte) // told of it; may be nil
	// edit may change the frame that begins with head, and says how many bytes at
	// the end of its payload to drop, and how many zeros to put behind it.
	edit func(head []byte) (drop, zeros int)

	shook bool
	head  []byte // of the handshake or frame, as far as it is held back
	left  int    // bytes that pass as they are
	drop  int    // bytes behind these that don't
	zeros int    // that come next
}

// feed appends to dst what becomes of b.
func (e *frameEditor) feed(dst, b []byte) []byte {
	for len(b) > 0 {
		switch {
		case e.left > 0:
			n := min(e.left, len(b))
			dst, b, e.left = append(dst, b[:n]...), b[n:], e.left-n
		case e.drop > 0:
			n := min(e.drop, len(b))
			b, e.drop = b[n:], e.drop-n
		default:
			n := min(e.wanted()-len(e.head), len(b))
			e.head, b = append(e.head, b[:n]...), b[n:]
			dst = e.pass(dst)
		}
		if e.left == 0 && e.zeros > 0 {
			dst, e.zeros = append(dst, make([]byte, e.zeros)...), 0
		}
	}
	return dst
}

// wanted is how much of the stream's next part has to be known together.
func (e *frameEditor) wanted() int {
	switch {
	case !e.shook:
		return handshakeLen
	case len(e.head) < lengthLen:
		return lengthLen
	}
	length := binary.BigEndian.Uint32(e.head)
	switch {
	case length == 0:
		return lengthLen // a keep-alive
	case len(e.head) < headLen:
		return headLen
	}
	switch kind := e.head[lengthLen]; {
	case kind == framePiece && length >= 1+pieceFields:
		return pieceHeadLen
	case (kind == frameRequest || kind == frameCancel || kind == frameReject) && length == blockHeadLen-lengthLen:
		return blockHeadLen
	}
	return headLen
}

// pass appends the head once all that is wanted of it is there.
func (e *frameEditor) pass(dst []byte) []byte {
	if len(e.head) < e.wanted() {
		return dst
	}
	switch {
	case !e.shook:
		e.shook = true
		if e.handshake != nil {
			e.handshake(e.head)
		}
	default:
		e.begin()
	}
	dst = append(dst, e.head...)
	e.head = e.head[:0]
	return dst
}

func (e *frameEditor) begin() {
	e.left = int(binary.BigEndian.Uint32(e.head)) + lengthLen - len(e.head)
	if len(e.head) >= pieceHeadLen {
		e.drop, e.zeros = e.edit(e.head)
		e.left -= e.drop
	}
}
