package hook

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// What processes that must go are given, and how often they are looked at.
const (
	termGrace = 5 * time.Second // from SIGTERM to SIGKILL
	killGrace = 2 * time.Second // for the kernel to take a killed process away

	minGroupPoll = 5 * time.Millisecond
	maxGroupPoll = 200 * time.Millisecond
)

// group is a process group. The kernel gives its number to nobody else as long
// as one process is in it, so it is safe to signal until it is first found
// empty.
type group int

// end makes an end of the group's processes, gently first, and reports whether
// all of them are gone. Those of other users cannot be signalled and stay.
func (g group) end() bool {
	return g.signal(unix.SIGTERM) || g.emptyWithin(termGrace) ||
		g.signal(unix.SIGKILL) || g.emptyWithin(killGrace)
}

// signal reports whether nobody was there to get the signal.
func (g group) signal(s unix.Signal) (empty bool) {
	return errors.Is(unix.Kill(-int(g), s), unix.ESRCH)
}

// emptyWithin reports whether the group came to its end within d. Looking at
// the processes costs more the more a host has, so the pauses grow.
func (g group) emptyWithin(d time.Duration) bool {
	end, wait := time.Now().Add(d), minGroupPoll
	for !g.over() {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(wait)
		wait = min(2*wait, maxGroupPoll)
	}
	return true
}

// over reports whether nothing in the group runs any more. Zombies do not count:
// they wait for a parent, in a container often for ever.
func (g group) over() bool {
	err := unix.Kill(-int(g), 0)
	if err != nil { // any but ESRCH: there are processes, of another user
		return errors.Is(err, unix.ESRCH)
	}
	pids, err := processes()
	if err != nil {
		return false
	}
	for _, pid := range pids {
		if p, err := inspect(pid); err == nil && p.group == int(g) && !p.dead {
			return false
		}
	}
	// What was born while we looked goes as well. The zombies hold the number.
	g.signal(unix.SIGKILL)
	return true
}
