package swarm

import (
	"encoding/binary"
	"slices"
	"sync"
)

// outbox holds the blocks that a connection owes until the uplink has a slot. It
// takes what it is given: if the client waited for room, all it has to say beside
// pieces would wait for them, seconds on a slow link. What bounds it is how much one
// neighbour may have asked for (maxAsked): these are notes, not bytes.
type outbox struct {
	mu     sync.Mutex
	owed   []upload
	busy   bool
	closed bool
}

func newOutbox() *outbox { return &outbox{} }

// put adds a block. start tells the caller to have the box emptied: nobody is at it.
// ok is false once the box is closed.
func (o *outbox) put(u upload) (start, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false, false
	}
	o.owed = append(o.owed, u)
	start, o.busy = !o.busy, true
	return start, true
}

// remove takes a block out, if it is still in.
func (o *outbox) remove(u upload) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	at := slices.Index(o.owed, u)
	if at < 0 {
		return false
	}
	o.owed = slices.Delete(o.owed, at, at+1)
	return true
}

// rest reports that there is nothing to send, which ends the emptying.
func (o *outbox) rest() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.owed) > 0 && !o.closed {
		return false
	}
	o.busy = false
	return true
}

// take returns a block of the rarest piece, the oldest of these. ok is false if
// the box is empty or closed.
func (o *outbox) take(held holdings) (u upload, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.owed) == 0 || o.closed {
		return upload{}, false
	}
	at := o.rarest(held)
	u = o.owed[at]
	o.owed = slices.Delete(o.owed, at, at+1)
	return u, true
}

// rarest needs o.mu and a block in the box.
func (o *outbox) rarest(held holdings) (at int) {
	fewest := 0
	for i, u := range o.owed {
		if n := held.of(int(u.piece)); i == 0 || n < fewest {
			at, fewest = i, n
		}
	}
	return at
}

func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.owed = true, nil
}

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
