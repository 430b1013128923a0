package swarm

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestUplinkServesOldestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink(1)
		release, _ := u.acquire(nil)
		var order []int
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				release, ok := u.acquire(nil)
				if !ok {
					t.Error("no slot")
					return
				}
				order = append(order, i) // one slot: one at a time
				release()
				release() // twice is once
			})
			synctest.Wait() // it waits in line
		}
		release()
		wg.Wait()
		for i, got := range order {
			if got != i {
				t.Fatalf("served in order %v", order)
			}
		}
		if u.free != 1 || u.waiting.Len() != 0 {
			t.Errorf("%d slots free, %d waiting", u.free, u.waiting.Len())
		}
	})
}

func TestUplinkNeverExceedsItsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink(3)
		var at, most atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				release, _ := u.acquire(nil)
				if n := at.Add(1); n > most.Load() {
					most.Store(n)
				}
				<-time.After(10 * time.Millisecond) // within anyone's patience
				at.Add(-1)
				release()
			})
		}
		wg.Wait()
		if most.Load() != 3 || u.free != 3 {
			t.Errorf("%d at once, %d free in the end; want 3", most.Load(), u.free)
		}
	})
}

// A neighbour that stalls keeps its slot no longer than patience lasts, and
// nobody gets two for it.
func TestUplinkPassesByTheStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink(1)
		stalled, _ := u.acquire(nil)
		begun := time.Now()
		release, _ := u.acquire(nil)
		if waited := time.Since(begun); waited != minSlotPatience {
			t.Errorf("waited %s for the slot of one that stalls, want %s", waited, minSlotPatience)
		}
		release()
		stalled()
		if u.free != 1 {
			t.Errorf("%d slots, want 1", u.free)
		}
	})
}

func TestUplinkLetsGoOfTheClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink(1)
		release, _ := u.acquire(nil)
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, ok := u.acquire(done); ok {
				t.Error("a closed connection got a slot")
			}
		})
		synctest.Wait()
		close(done)
		wg.Wait()
		release()
		if u.free != 1 || u.waiting.Len() != 0 {
			t.Errorf("%d slots free, %d waiting", u.free, u.waiting.Len())
		}
	})
}

func TestOutbox(t *testing.T) {
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
		if got, ok := o.take(); !ok || !bytes.Equal(got, frame) {
			t.Fatal("not the first frame")
		}
		if !<-second {
			t.Error("the second frame: want it in, without another start")
		}
		o.take()
		if _, ok := o.take(); ok {
			t.Error("a third frame")
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
		if _, ok := o.take(); ok {
			t.Error("a closed box gave a frame")
		}
	})
}

func TestCutPiece(t *testing.T) {
	have, piece := frame(frameHave, "\x00\x00\x00\x07"), frame(framePiece, "iiiioooodata")
	for name, c := range map[string][4][]byte{
		"nothing":    {nil, nil, nil, nil},
		"no piece":   {have, have, nil, nil},
		"only piece": {piece, nil, piece, nil},
		"between":    {bytes.Join([][]byte{keepAlive, have, piece, have, piece}, nil), append(bytes.Clone(keepAlive), have...), piece, append(bytes.Clone(have), piece...)},
		"cut off":    {piece[:8], piece[:8], nil, nil},
	} {
		before, got, after := cutPiece(c[0])
		if !bytes.Equal(before, c[1]) || !bytes.Equal(got, c[2]) || !bytes.Equal(after, c[3]) {
			t.Errorf("%s: %q, %q, %q", name, before, got, after)
		}
	}
}
