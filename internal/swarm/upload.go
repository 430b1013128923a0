package swarm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
)

// upload is a block that a neighbour has asked for: where it lies, not its bytes.
// These are read when its turn has come, by the kernel if it can be.
type upload struct {
	piece, begin uint32
	length       int // in bytes
}

// errNoBlock is why a connection ends: what it should send is no part of the
// artifact. The client judges requests, so there should be none.
var errNoBlock = errors.New("a piece frame is of no block")

// parseUpload reads which block a whole piece frame is of.
func parseUpload(frame []byte) (upload, error) {
	if len(frame) <= pieceHeadLen {
		return upload{}, errNoBlock
	}
	return upload{
		piece: binary.BigEndian.Uint32(frame[headLen:]), begin: binary.BigEndian.Uint32(frame[headLen+4:]),
		length: len(frame) - pieceHeadLen,
	}, nil
}

// parseBlock reads which block the body of a Request, Cancel or Reject names.
func parseBlock(body []byte) upload {
	return upload{piece: binary.BigEndian.Uint32(body), begin: binary.BigEndian.Uint32(body[4:]), length: int(binary.BigEndian.Uint32(body[8:]))}
}

// frameLen is the length of the block's piece frame, in bytes.
func (u upload) frameLen() int { return pieceHeadLen + u.length }

// appendHead appends the piece frame up to the block.
func (u upload) appendHead(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(u.frameLen()-lengthLen))
	b = append(b, framePiece)
	b = binary.BigEndian.AppendUint32(b, u.piece)
	return binary.BigEndian.AppendUint32(b, u.begin)
}

// locate is where a block begins in the file.
func (f *file) locate(u upload) (int64, error) {
	at := int64(u.piece)*f.meta.PieceLength + int64(u.begin)
	if int64(u.piece) >= int64(f.meta.Pieces) || int64(u.begin)+int64(u.length) > f.meta.PieceLength || at+int64(u.length) > f.meta.Size {
		return 0, errNoBlock
	}
	return at, nil
}

// sendBlock sends a block: straight from the file's pages where nothing has to be
// done with its bytes on the way, else through a buffer.
func (c *conn) sendBlock(f *file, u upload) error {
	at, err := f.locate(u)
	if err != nil {
		return err
	}
	if c.direct != nil {
		return c.sendFromFile(f, u, at)
	}
	buf := frameBuffers.Get().(*[]byte)
	defer frameBuffers.Put(buf)
	*buf = u.appendHead((*buf)[:0])
	if *buf, err = f.appendBytes(*buf, at, u.length); err != nil {
		return err
	}
	return c.sendFrame(*buf)
}

// frameBuffers keeps buffers of sent frames for the next ones.
var frameBuffers = sync.Pool{New: func() any { return new([]byte) }}

// appendBytes appends n bytes of the file, which is looked at behind the reading:
// then what was read is right.
func (f *file) appendBytes(b []byte, at int64, n int) ([]byte, error) {
	b = slices.Grow(b, n)
	if _, err := f.data.ReadAt(b[len(b):len(b)+n], at); err != nil {
		return b, fmt.Errorf("read block: %w", err)
	}
	return b[:len(b)+n], f.unchanged()
}

// sendFromFile has the kernel send a block out of the file. Its pages go out as
// they are when they go: the look at the file behind it is for what changes in the
// meantime. Then the connection ends, and what the kernel still has is not sent.
func (c *conn) sendFromFile(f *file, u upload, at int64) error {
	if err := f.unchanged(); err != nil {
		return err
	}
	c.writing.Lock()
	err := c.splice(f, u, at)
	c.writing.Unlock()
	if err != nil {
		return err
	}
	if err := f.unchanged(); err != nil {
		if tcp, ok := c.raw.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		return err
	}
	return c.flushQueued()
}

// splice needs c.writing. Where the file system can't send, it copies.
func (c *conn) splice(f *file, u upload, at int64) error {
	s := splice{head: u.appendHead(make([]byte, 0, pieceHeadLen)), at: at, left: u.length}
	whole := s.head
	err := s.run(f.data, c.direct)
	c.out.feed(whole[:pieceHeadLen-len(s.head)], (*outgoing)(c))
	c.out.skip(u.length-s.left, (*outgoing)(c))
	if !errors.Is(err, errNoSendfile) {
		return err
	}
	c.direct = nil
	rest, err := f.appendBytes(s.head, s.at, s.left)
	if err != nil {
		return err
	}
	return c.write(rest)
}
