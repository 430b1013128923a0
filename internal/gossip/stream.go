package gossip

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// maxHeld bounds what has been read from the streams that others have open, in
// bytes, of all together: memberlist reads up to 20 MB of each before it finds
// that no key fits. The list of 1000 hosts is about 0.3 MB. A member whose stream
// is one too many tries again.
const maxHeld = 32 << 20

var errHeld = errors.New("others send too much at a time")

// stream is a connection that Shutdown closes too.
type stream struct {
	net.Conn
	in  io.Reader
	end func() error
}

// Read implements net.Conn.
func (s stream) Read(b []byte) (int, error) { return s.in.Read(b) }

// Close implements net.Conn.
func (s stream) Close() error { return s.end() }

// endWithWire makes conn end with the wire at the latest; closed is called
// once, when it ends. in is what is read from conn.
func (w *wire) endWithWire(conn net.Conn, in io.Reader, closed func()) net.Conn {
	if w.keyed {
		in = &sealedReader{in: in}
	}
	end := sync.OnceValue(func() error {
		closed()
		return conn.Close()
	})
	stop := context.AfterFunc(w.ctx, func() { end() }) //nolint:errcheck // nobody is there to be told
	return stream{Conn: conn, in: in, end: func() error {
		stop()
		return end()
	}}
}

// closeQuietly closes a connection that carried nothing.
func closeQuietly(c net.Conn) { c.Close() } //nolint:errcheck // there is nothing to lose

// counted is what is read from a stream that another opened. It counts in
// held until it is let go.
type counted struct {
	in   io.Reader
	held *atomic.Int64 // of all streams
	own  atomic.Int64
}

// maxRead is how much is read at a time, in bytes, and so by how much each stream
// may go over maxHeld.
const maxRead = 256 << 10

// Read implements io.Reader.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.in.Read(b[:min(len(b), maxRead)])
	c.own.Add(int64(n))
	if c.held.Add(int64(n)) > maxHeld {
		err = errHeld
	}
	return n, err
}

func (c *counted) letGo() { c.held.Add(-c.own.Swap(0)) }

// What memberlist seals a message in. On a stream there are before it the type
// and the length of the rest, of 4 bytes.
const (
	sealedType    = 10
	sealedVersion = 1 // AES-GCM without padding
	sealedHead    = 1 + 4 + 1
	minSealed     = 1 + 12 + 1 + 16 // version, nonce, a message of one byte, tag
)

var errSealed = errors.New("sealed in a form that crow does not use")

// sealedPacket reports whether memberlist may be shown a packet. With the older
// version comes a padding whose length it believes: whoever has a key could end
// every member of the fleet by one packet.
func sealedPacket(b []byte) bool { return len(b) > 0 && b[0] != sealedVersion-1 }

// checkSealedHead is sealedPacket for a stream, where memberlist also takes it
// that there is a message. What is not sealed at all it refuses by itself.
func checkSealedHead(head [sealedHead]byte) error {
	size := binary.BigEndian.Uint32(head[1:])
	if head[0] == sealedType && (size < minSealed || head[sealedHead-1] != sealedVersion) {
		return errSealed
	}
	return nil
}

// sealedReader reads a stream, if its head is right.
type sealedReader struct {
	in   io.Reader
	head []byte // not yet read
	seen bool
	err  error
}

// Read implements io.Reader.
func (s *sealedReader) Read(b []byte) (int, error) {
	if !s.seen {
		s.seen = true
		s.err = s.readHead()
	}
	switch {
	case s.err != nil:
		return 0, s.err
	case len(s.head) > 0:
		n := copy(b, s.head)
		s.head = s.head[n:]
		return n, nil
	default:
		return s.in.Read(b)
	}
}

func (s *sealedReader) readHead() error {
	var head [sealedHead]byte
	if _, err := io.ReadFull(s.in, head[:]); err != nil {
		return err // io.EOF where there was nothing at all
	}
	s.head = head[:]
	return checkSealedHead(head)
}
