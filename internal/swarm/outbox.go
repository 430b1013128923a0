package swarm

import (
	"encoding/binary"
	"slices"
	"sync"
)

// outboxLen bounds the frames that wait on one connection, in bytes. The client
// writes on in the meantime: what it has to say beside pieces must not wait for
// them.
const outboxLen = 512 << 10

// outbox holds a connection's piece frames until the uplink has a slot.
type outbox struct {
	mu     sync.Mutex
	room   *sync.Cond // something was taken out, or the box closed
	frames [][]byte
	size   int // bytes in frames
	busy   bool
	closed bool
}

func newOutbox() *outbox {
	o := &outbox{}
	o.room = sync.NewCond(&o.mu)
	return o
}

// put adds a copy of a frame, after waiting for room. start tells the caller to
// have the box emptied: nobody is at it. ok is false once the box is closed.
func (o *outbox) put(frame []byte) (start, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.size > 0 && o.size+len(frame) > outboxLen && !o.closed {
		o.room.Wait()
	}
	if o.closed {
		return false, false
	}
	o.frames = append(o.frames, append(frameBuffer(len(frame)), frame...))
	o.size += len(frame)
	start, o.busy = !o.busy, true
	return start, true
}

// rest reports that there is nothing to send, which ends the emptying.
func (o *outbox) rest() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.frames) > 0 && !o.closed {
		return false
	}
	o.busy = false
	return true
}

// take returns a frame of the rarest piece, the oldest of these. ok is false if
// the box is empty or closed.
func (o *outbox) take(held holdings) (frame []byte, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.frames) == 0 || o.closed {
		return nil, false
	}
	at := o.rarest(held)
	frame = o.frames[at]
	o.frames = slices.Delete(o.frames, at, at+1)
	o.size -= len(frame)
	o.room.Signal()
	return frame, true
}

// rarest needs o.mu and a frame in the box.
func (o *outbox) rarest(held holdings) (at int) {
	fewest := 0
	for i, frame := range o.frames {
		if n := held.of(pieceOf(frame)); i == 0 || n < fewest {
			at, fewest = i, n
		}
	}
	return at
}

// pieceOf is the number of the piece that a piece frame is part of.
func pieceOf(frame []byte) int {
	if len(frame) < headLen+pieceFields {
		return -1
	}
	return int(binary.BigEndian.Uint32(frame[headLen:]))
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.frames, o.size = true, nil, 0
	o.room.Broadcast()
}

// frameBuffers keeps buffers of sent frames for the next ones.
var frameBuffers = sync.Pool{}

func frameBuffer(n int) []byte {
	if b, ok := frameBuffers.Get().(*[]byte); ok && cap(*b) >= n {
		return (*b)[:0]
	}
	return make([]byte, 0, n)
}

func recycle(frame []byte) { frameBuffers.Put(&frame) }

// cutPiece splits whole frames before the first piece frame and behind it.
// piece is nil if there is none.
func cutPiece(frames []byte) (before, piece, after []byte) {
	for at := 0; at+headLen <= len(frames); {
		end := at + lengthLen + int(binary.BigEndian.Uint32(frames[at:]))
		if end > len(frames) {
			break
		}
		if end > at+lengthLen && frames[at+lengthLen] == framePiece {
			return frames[:at], frames[at:end], frames[end:]
		}
		at = end
	}
	return frames, nil, nil
}
