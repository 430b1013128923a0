package swarm

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNextToSend(t *testing.T) {
	for name, c := range map[string]struct {
		turns []int // of the transfers of who waits, who came first in front
		want  int
	}{
		"nobody":                            {nil, -1},
		"one":                               {[]int{7}, 0},
		"first come":                        {[]int{1, 1, 1}, 0},
		"the transfer with the oldest turn": {[]int{5, 4, 6}, 1},
		"and there first come":              {[]int{5, 4, 4, 6}, 1},
	} {
		var waiting []*sender
		for _, turn := range c.turns {
			waiting = append(waiting, &sender{turn: &turn})
		}
		if got := nextToSend(waiting); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// acquire waits for a slot and begins to use it at once.
func (u *uplink) acquire(turn *int, done <-chan struct{}) (release func(), ok bool) {
	if !u.wait(turn, done) {
		return nil, false
	}
	return u.hold(), true
}

// serve has senders ask for a slot in turn while there is none, and returns in
// which order they then get it.
func serve(t *testing.T, turns []*int) (order []int) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink(1)
		release, _ := u.acquire(new(int), nil)
		var wg sync.WaitGroup
		for i := range turns {
			wg.Go(func() {
				release, ok := u.acquire(turns[i], nil)
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
		if u.free != 1 || len(u.waiting) != 0 {
			t.Errorf("%d slots free, %d waiting", u.free, len(u.waiting))
		}
	})
	return order
}

func TestUplinkServesFirstComeFirst(t *testing.T) {
	one := new(int)
	if got, want := serve(t, []*int{one, one, one, one, one}), []int{0, 1, 2, 3, 4}; !slices.Equal(got, want) {
		t.Errorf("served in order %v, want %v", got, want)
	}
}

// A transfer of which many want something does not keep another one waiting.
func TestUplinkTakesTransfersInTurn(t *testing.T) {
	one, other := new(int), new(int)
	if got, want := serve(t, []*int{one, one, one, other, other}), []int{0, 3, 1, 4, 2}; !slices.Equal(got, want) {
		t.Errorf("served in order %v, want %v", got, want)
	}
}

func TestUplinkNeverExceedsItsSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink(3)
		var at, most atomic.Int32
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				release, _ := u.acquire(new(int), nil)
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
		stalled, _ := u.acquire(new(int), nil)
		begun := time.Now()
		release, _ := u.acquire(new(int), nil)
		if waited, want := time.Since(begun), slotPatience*firstTypical; waited != want {
			t.Errorf("waited %s for the slot of one that stalls, want %s", waited, want)
		}
		release()
		stalled()
		if u.free != 1 {
			t.Errorf("%d slots, want 1", u.free)
		}
	})
}

// Patience follows what slots are held for, within limits.
func TestUplinkLearnsPatience(t *testing.T) {
	for _, c := range []struct{ held, want time.Duration }{
		{time.Microsecond, minSlotPatience},
		{100 * time.Millisecond, slotPatience * 100 * time.Millisecond},
		{time.Hour, maxSlotPatience}, // though a slot is taken away before
	} {
		synctest.Test(t, func(t *testing.T) {
			u := newUplink(1)
			for range 200 {
				release, _ := u.acquire(new(int), nil)
				<-time.After(c.held)
				release()
			}
			if got := u.patience(); got < c.want*9/10 || got > c.want*11/10 {
				t.Errorf("slots are held for %s: patience of %s, want %s", c.held, got, c.want)
			}
		})
	}
}

func TestUplinkLetsGoOfTheClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newUplink(1)
		release, _ := u.acquire(new(int), nil)
		done := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, ok := u.acquire(new(int), done); ok {
				t.Error("a closed connection got a slot")
			}
		})
		synctest.Wait()
		close(done)
		wg.Wait()
		release()
		if u.free != 1 || len(u.waiting) != 0 {
			t.Errorf("%d slots free, %d waiting", u.free, len(u.waiting))
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
