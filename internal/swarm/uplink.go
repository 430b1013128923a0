package swarm

import (
	"slices"
	"sync"
	"time"
)

// uplink shares a node's link out among its connections. It lets a few pieces
// of data through at a time: sixteen neighbours served at once would each wait
// sixteen times as long for a block that they can pass on only when it is whole.
// Which goes first is nextToSend's to say.
type uplink struct {
	mu      sync.Mutex
	free    int // slots
	waiting []*sender
	grants  int           // so far
	typical time.Duration // moving average of how long a slot is held
}

// sender is a connection that waits for a slot.
type sender struct {
	turn    *int // when its transfer was last given a slot, as a count of grants
	granted chan struct{}
}

// Slots and how long they are held.
const (
	uploadSlots = 4
	// A slot whose holder is slower than this times the typical holder is given
	// to somebody else: a neighbour that stalls costs a moment, not a slot.
	slotPatience    = 4
	minSlotPatience = 50 * time.Millisecond
	maxSlotPatience = 5 * time.Second
	// What a slot is taken to be held before any was.
	firstTypical = 250 * time.Millisecond
)

func newUplink(slots int) *uplink { return &uplink{free: slots, typical: firstTypical} }

// wait waits for a slot, unless done is closed first. hold must follow: a slot that
// waits for the upload limit first is none that a neighbour is slow for.
func (u *uplink) wait(turn *int, done <-chan struct{}) (ok bool) {
	s := &sender{turn: turn, granted: make(chan struct{})}
	u.mu.Lock()
	u.waiting = append(u.waiting, s)
	if u.free > 0 {
		u.free--
		u.grantNext()
	}
	u.mu.Unlock()
	select {
	case <-s.granted:
		return true
	case <-done:
		u.withdraw(s)
		return false
	}
}

// withdraw leaves the queue; a slot that was granted meanwhile goes on to the
// next.
func (u *uplink) withdraw(s *sender) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if i := slices.Index(u.waiting, s); i >= 0 {
		u.waiting = slices.Delete(u.waiting, i, i+1)
		return
	}
	u.grantNext()
}

// grantNext hands on a slot that is not counted as free. It needs u.mu.
func (u *uplink) grantNext() {
	i := nextToSend(u.waiting)
	if i < 0 {
		u.free++
		return
	}
	s := u.waiting[i]
	u.waiting = slices.Delete(u.waiting, i, i+1)
	u.grants++
	*s.turn = u.grants
	close(s.granted)
}

// nextToSend chooses who gets a slot: who came first of those of the transfer
// whose last turn was longest ago. It is -1 when nobody waits. To go by the
// rarity of what they ask for would keep a host that is behind, and lacks what
// many have, waiting behind everyone.
func nextToSend(waiting []*sender) int {
	best := -1
	for i, s := range waiting {
		if best < 0 || *s.turn < *waiting[best].turn {
			best = i
		}
	}
	return best
}

// hold begins to use a slot. It is given back by release, which may be called twice,
// or before that if it takes too long.
func (u *uplink) hold() (release func()) {
	begun := time.Now()
	var once sync.Once
	giveBack := func() {
		once.Do(func() {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.typical += (time.Since(begun) - u.typical) / 16
			u.grantNext()
		})
	}
	impatient := time.AfterFunc(u.patience(), giveBack)
	return func() {
		impatient.Stop()
		giveBack()
	}
}

func (u *uplink) patience() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	return min(max(slotPatience*u.typical, minSlotPatience), maxSlotPatience)
}
