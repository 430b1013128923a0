package gossip

import (
	"bytes"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"crow/internal/release"
)

// The types of serf's messages that crow's members send each other. The others, its
// queries with their answers and the relaying of these, nobody has use for.
const (
	serfLeave    = 0
	serfJoin     = 1
	serfPushPull = 2
	serfEvent    = 3
)

// Wake-ups that are taken from others. The seeder sends one per wakeGap at most, and
// there may be a few seeders; what is more is a flood, of which each one would be
// remembered, passed on to gossipNodes others, and told again with each exchange.
const (
	wakesEvery = wakeGap / 4
	wakesBurst = eventBuffer
)

// sieve stands between memberlist and serf, and lets through only what crow's members
// say. serf remembers each different event and query of one Lamport time, however many
// there are: whoever has the fleet's key could so fill the memory of all.
type sieve struct {
	memberlist.Delegate // serf's
	wakes               *rate.Limiter
	log                 *zap.Logger
}

func newSieve(d memberlist.Delegate, log *zap.Logger) *sieve {
	return &sieve{Delegate: d, wakes: rate.NewLimiter(rate.Every(wakesEvery), wakesBurst), log: sampled(log)}
}

// serfIntent is what serf's messages of joins and leaves have in common.
type serfIntent struct{ Node string }

// userEvent is one of serf's user events, as in an exchange.
type userEvent struct {
	Name    string
	Payload []byte
}

func (e userEvent) isWake() bool { return e.Name == wakeEvent && len(e.Payload) == 0 }

// userEvents are those of one Lamport time.
type userEvents struct {
	LTime  uint64
	Events []userEvent
}

// exchange is what serf adds to an exchange of lists.
type exchange struct {
	LTime        uint64
	StatusLTimes map[string]uint64
	LeftMembers  []string
	EventLTime   uint64
	Events       []*userEvents
	QueryLTime   uint64
}

// NotifyMsg implements memberlist.Delegate.
func (s *sieve) NotifyMsg(b []byte) {
	if !s.passes(b, time.Now()) {
		s.log.Warn("gossip that crow does not send was dropped")
		return
	}
	s.Delegate.NotifyMsg(b)
}

func (s *sieve) passes(b []byte, now time.Time) bool {
	if len(b) == 0 {
		return false
	}
	switch b[0] {
	case serfLeave, serfJoin: // serf remembers those of members that it does not know
		var i serfIntent
		return decode(b[1:], &i) == nil && release.ValidateHost(i.Node) == nil
	case serfEvent:
		var e userEvent
		return decode(b[1:], &e) == nil && e.isWake() && s.wakes.AllowN(now, 1)
	}
	return false
}

// MergeRemoteState implements memberlist.Delegate.
func (s *sieve) MergeRemoteState(b []byte, join bool) {
	clean, ok := s.sift(b)
	if !ok {
		s.log.Warn("an exchange that crow does not send was dropped")
		return
	}
	s.Delegate.MergeRemoteState(clean, join)
}

// sift leaves in an exchange, of all events, the newest wake-up: the others are the same
// hint. Names that no host has are left out.
func (s *sieve) sift(b []byte) (clean []byte, ok bool) {
	var x exchange
	if len(b) == 0 || b[0] != serfPushPull || decode(b[1:], &x) != nil || len(x.StatusLTimes)+len(x.LeftMembers) > 2*maxMembers {
		return nil, false
	}
	var newest *userEvents
	for _, at := range x.Events {
		if at != nil && len(at.Events) == 1 && at.Events[0].isWake() && (newest == nil || at.LTime > newest.LTime) {
			newest = at
		}
	}
	x.Events = nil
	if newest != nil {
		x.Events = []*userEvents{newest}
	}
	for name := range x.StatusLTimes {
		if release.ValidateHost(name) != nil {
			delete(x.StatusLTimes, name)
		}
	}
	var left []string
	for _, name := range x.LeftMembers {
		if release.ValidateHost(name) == nil {
			left = append(left, name)
		}
	}
	x.LeftMembers = left
	out := bytes.NewBuffer([]byte{serfPushPull})
	err := codec.NewEncoder(out, &codec.MsgpackHandle{}).Encode(x)
	return out.Bytes(), err == nil
}

func decode(b []byte, into any) error {
	return codec.NewDecoder(bytes.NewReader(b), &codec.MsgpackHandle{}).Decode(into)
}
