package swarm

import (
	"container/list"
	"sync"
	"time"
)

// uplink shares a node's link out among its connections. It lets a few pieces
// of data through at a time, oldest first: sixteen neighbours served at once
// would each wait sixteen times as long for a block that they can pass on only
// when it is whole.
type uplink struct {
	mu      sync.Mutex
	free    int           // slots
	waiting *list.List    // of chan struct{}, oldest first; closed when granted
	typical time.Duration // moving average of how long a slot is held
}

// Slots and how long they are held.
const (
	uploadSlots = 4
	// A slot whose holder is slower than this times the typical holder is given
	// to somebody else: a neighbour that stalls costs a moment, not a slot.
	slotPatience    = 4
	minSlotPatience = 50 * time.Millisecond
	maxSlotPatience = 5 * time.Second
)

func newUplink(slots int) *uplink { return &uplink{free: slots, waiting: list.New()} }

// acquire waits for a slot, unless done is closed first. The slot is given back
// by release, which may be called twice.
func (u *uplink) acquire(done <-chan struct{}) (release func(), ok bool) {
	u.mu.Lock()
	if u.free > 0 {
		u.free--
		u.mu.Unlock()
		return u.hold(), true
	}
	granted := make(chan struct{})
	place := u.waiting.PushBack(granted)
	u.mu.Unlock()
	select {
	case <-granted:
		return u.hold(), true
	case <-done:
		u.withdraw(place, granted)
		return nil, false
	}
}

// withdraw leaves the queue; a slot that was granted meanwhile goes on to the
// next.
func (u *uplink) withdraw(place *list.Element, granted chan struct{}) {
	u.mu.Lock()
	defer u.mu.Unlock()
	select {
	case <-granted:
		u.grantNext()
	default:
		u.waiting.Remove(place)
	}
}

// grantNext needs u.mu.
func (u *uplink) grantNext() {
	first := u.waiting.Front()
	if first == nil {
		u.free++
		return
	}
	close(u.waiting.Remove(first).(chan struct{}))
}

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
