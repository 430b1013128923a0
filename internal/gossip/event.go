package gossip

import (
	"fmt"
	"time"

	"github.com/hashicorp/serf/serf"
	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// Kind says what has happened.
type Kind uint8

// The kinds of events.
const (
	Joined Kind = iota // a member is there, is back, or has changed its tags
	Gone               // a member left or failed: its State tells which
	Woken              // orders have changed; has no member
)

// String is the kind's name in logs.
func (k Kind) String() string {
	names := [...]string{"joined", "gone", "woken"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Event is something that has happened in the fleet.
type Event struct {
	Kind   Kind
	Member Member // of all kinds but Woken
}

const (
	// wakeEvent is the name of the one user event that crow sends.
	wakeEvent = "orders"
	// wakeGap is the least time between two wake-ups, sent or received: enough
	// to make one of a burst, and little beside what a deploy takes.
	wakeGap = 100 * time.Millisecond
	// maxEvents is how many events wait for a slow reader: a fleet of 1000
	// that comes back at once fits.
	maxEvents = 1024
	// changesEvery is the least time between two changes of members that are passed
	// on, beyond maxEvents at once: each wakes or costs whoever reads them, and with
	// forged ones there is no end. Members tells what was left out.
	changesEvery = wakeGap
	// rawEvents is larger than the queue of 1024 inside serf, which so can
	// always be emptied, even while nobody reads at the very end.
	rawEvents = 2048
)

// readEvents passes on serf's events until stop is closed. serf holds locks
// while it sends, so this never waits for anybody.
func (g *Gossip) readEvents(stop <-chan struct{}) {
	defer close(g.events)
	var quiet <-chan time.Time // runs after a wake-up was passed on
	again := false             // another one came meanwhile
	changes := rate.NewLimiter(rate.Every(changesEvery), maxEvents)
	for {
		select {
		case <-stop:
			return
		case e := <-g.raw:
			switch e := e.(type) {
			case serf.MemberEvent:
				g.memberEvent(e, changes)
			case serf.UserEvent:
				if e.Name != wakeEvent {
					continue
				}
				if again = quiet != nil; !again {
					g.emit(Event{Kind: Woken})
					quiet = time.After(wakeGap)
				}
			}
		case <-quiet:
			quiet = nil
			if again {
				again = false
				g.emit(Event{Kind: Woken})
				quiet = time.After(wakeGap)
			}
		}
	}
}

func (g *Gossip) memberEvent(e serf.MemberEvent, changes *rate.Limiter) {
	var kind Kind
	switch e.Type {
	case serf.EventMemberJoin, serf.EventMemberUpdate:
		kind = Joined
	case serf.EventMemberLeave, serf.EventMemberFailed:
		kind = Gone
	default: // forgotten after a day: that it is gone was said before
		return
	}
	for _, raw := range e.Members {
		m, err := toMember(raw)
		if err != nil {
			continue
		}
		g.log.Debug("member changed", zap.String("host", m.Name), zap.Stringer("state", m.State), zap.Stringer("addr", m.Addr))
		if changes.Allow() {
			g.emit(Event{Kind: kind, Member: m})
		}
	}
}

// emit drops the oldest event if there is no room. Only readEvents sends, so
// the second try finds the room that the first one made.
func (g *Gossip) emit(e Event) {
	for {
		select {
		case g.events <- e:
			return
		default:
		}
		select {
		case <-g.events:
		default:
		}
	}
}
