package swarm

import (
	"bytes"
	"encoding/binary"
	"testing"
	"testing/synctest"
)

// pieceFrame is a block of a piece.
func pieceFrame(piece int, data string) []byte {
	fields := binary.BigEndian.AppendUint32(nil, uint32(piece))
	return frame(framePiece, string(binary.BigEndian.AppendUint32(fields, 0))+data)
}

func TestOutboxWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOutbox()
		frame := bytes.Repeat([]byte{1}, outboxLen/2+1)
		if start, ok := o.put(frame); !start || !ok {
			t.Fatal("the first frame starts the emptying")
		}
		second := make(chan bool)
		go func() {
			start, ok := o.put(frame)
			second <- !start && ok
		}()
		synctest.Wait() // there is no room
		if o.rest() {
			t.Error("it rests with a frame to send")
		}
		if got, ok := o.take(nil); !ok || !bytes.Equal(got, frame) {
			t.Fatal("not the first frame")
		}
		if !<-second {
			t.Error("the second frame: want it in, without another start")
		}
		o.take(nil)
		if _, ok := o.take(nil); ok {
			t.Error("a third frame")
		}
		if !o.rest() {
			t.Error("it does not rest with nothing to send")
		}
		if start, _ := o.put(frame); !start {
			t.Error("an emptied box starts again")
		}
		full := make(chan bool)
		go func() { _, ok := o.put(frame); full <- ok }()
		synctest.Wait()
		o.close()
		if <-full {
			t.Error("a closed box took a frame")
		}
		if _, ok := o.take(nil); ok || !o.rest() {
			t.Error("a closed box gave a frame, or does not rest")
		}
	})
}

// A frame larger than the box goes through it alone.
func TestOutboxTakesWhatIsLarge(t *testing.T) {
	o := newOutbox()
	if _, ok := o.put(make([]byte, outboxLen+1)); !ok {
		t.Error("refused")
	}
}

func TestOutboxGivesTheRarestThenTheOldest(t *testing.T) {
	held, set := make(holdings, 4), []pieceSet{newPieceSet(4), newPieceSet(4)}
	held.addBitfield(set[0], []byte{0b11100000})
	held.addBitfield(set[1], []byte{0b01000000}) // held: 1 2 1 0
	o := newOutbox()
	for _, f := range [][]byte{
		pieceFrame(1, "a"), pieceFrame(0, "b"), pieceFrame(2, "c"), pieceFrame(0, "d"), pieceFrame(3, "e"),
	} {
		o.put(f)
	}
	for _, want := range []string{"e", "b", "c", "d", "a"} {
		if got, ok := o.take(held); !ok || string(got[headLen+pieceFields:]) != want {
			t.Errorf("took %q, %t; want %q", got, ok, want)
		}
	}
	if o.size != 0 {
		t.Errorf("an empty box has %d bytes", o.size)
	}
}

// What counts is who holds a piece when it is taken, not when it was put.
func TestOutboxFollowsTheHoldings(t *testing.T) {
	held, set := make(holdings, 2), newPieceSet(2)
	o := newOutbox()
	o.put(pieceFrame(0, "a"))
	o.put(pieceFrame(1, "b"))
	held.add(set, 0)
	if got, _ := o.take(held); pieceOf(got) != 1 {
		t.Errorf("took piece %d, of which a neighbour has told that it has it", pieceOf(got))
	}
}

func TestPieceOf(t *testing.T) {
	whole := pieceFrame(1<<31+5, "data")
	for _, c := range []struct {
		frame []byte
		want  int
	}{
		{nil, -1}, {whole[:headLen], -1}, {whole[:headLen+pieceFields-1], -1}, {whole[:headLen+pieceFields], 1<<31 + 5}, {whole, 1<<31 + 5},
	} {
		if got := pieceOf(c.frame); got != c.want {
			t.Errorf("%q: piece %d, want %d", c.frame, got, c.want)
		}
	}
	o := newOutbox() // and no number of a neighbour's breaks the box
	o.put(whole[:headLen])
	o.put(whole)
	o.take(make(holdings, 1))
	if _, ok := o.take(make(holdings, 1)); !ok {
		t.Error("a frame is lost")
	}
}
