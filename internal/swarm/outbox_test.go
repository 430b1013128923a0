package swarm

import (
	"testing"
)

// Whoever gives it blocks never waits, and has it emptied once at a time.
func TestOutboxTakesWhatItIsGiven(t *testing.T) {
	o := newOutbox()
	block, other := upload{length: 1 << 20}, upload{piece: 1, length: 1 << 20}
	if start, ok := o.put(block); !start || !ok {
		t.Fatal("the first block starts the emptying")
	}
	for range maxAsked {
		if start, ok := o.put(other); start || !ok {
			t.Fatal("a further block: want it in, without another start")
		}
	}
	if o.rest() {
		t.Error("it rests with a block to send")
	}
	if got, ok := o.take(nil); !ok || got != block {
		t.Fatal("not the first block")
	}
	for range maxAsked {
		if !o.remove(other) {
			t.Fatal("a block that is in can't be removed")
		}
	}
	if o.remove(other) || !o.rest() {
		t.Error("it does not rest with nothing to send")
	}
	if start, _ := o.put(block); !start {
		t.Error("an emptied box starts again")
	}
	o.close()
	if _, ok := o.put(block); ok {
		t.Error("a closed box took a block")
	}
	if _, ok := o.take(nil); ok || !o.rest() {
		t.Error("a closed box gave a block, or does not rest")
	}
}

func TestOutboxGivesTheRarestThenTheOldest(t *testing.T) {
	held, set := make(holdings, 4), []pieceSet{newPieceSet(4), newPieceSet(4)}
	held.addBitfield(set[0], []byte{0b11100000})
	held.addBitfield(set[1], []byte{0b01000000}) // held: 1 2 1 0
	o := newOutbox()
	for _, u := range []upload{{piece: 1}, {piece: 0, begin: 1}, {piece: 2}, {piece: 0, begin: 2}, {piece: 3}, {piece: 1 << 31}} {
		o.put(u)
	}
	for _, want := range []upload{{piece: 3}, {piece: 1 << 31}, {piece: 0, begin: 1}, {piece: 2}, {piece: 0, begin: 2}, {piece: 1}} {
		if got, ok := o.take(held); !ok || got != want {
			t.Errorf("took %+v, %t; want %+v", got, ok, want)
		}
	}
}

// What counts is who holds a piece when it is taken, not when it was put.
func TestOutboxFollowsTheHoldings(t *testing.T) {
	held, set := make(holdings, 2), newPieceSet(2)
	o := newOutbox()
	o.put(upload{piece: 0})
	o.put(upload{piece: 1})
	held.add(set, 0)
	if got, _ := o.take(held); got.piece != 1 {
		t.Errorf("took piece %d, of which a neighbour has told that it has it", got.piece)
	}
}
