package gossip

import (
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/serf/serf"
	"go.uber.org/zap"
)

const (
	// maxMembers bounds the members that are kept in mind: twice the fleet
	// that crow is made for on paper.
	maxMembers = 20_000
	// conflictAge is how long after its last sign a conflict counts. While it
	// does, keepJoined looks for another sign every refreshEvery.
	conflictAge = 3 * refreshEvery
	// conflictLogGap keeps a lasting conflict to one line a minute.
	conflictLogGap = time.Minute
)

// guard stands between the network and serf's list of members.
//
// It refuses what is malformed, and it watches for others that claim this
// member's name. serf could put such a conflict to a vote that shuts the losing
// member down. crow has that off, since a typo in one host's config, or a forged
// message, could so take another host off the fleet's map. Instead the first
// one to have the name keeps it, and the other stays unseen, says so in its
// log, and gets the name once the first has left or failed. That is also how a
// host comes back under a new address. Both go on with their work.
type guard struct {
	name string
	addr netip.AddrPort
	log  *zap.Logger
	serf atomic.Pointer[serf.Serf] // nil until serf has been created

	mu       sync.Mutex
	conflict time.Time // last sign of one
	logged   time.Time
}

func newGuard(name string, addr netip.AddrPort, log *zap.Logger) *guard {
	return &guard{name: name, addr: addr, log: log}
}

func (g *guard) watch(s *serf.Serf) { g.serf.Store(s) }

// NotifyMerge implements serf.MergeDelegate. serf calls it with one member
// before it believes that this is alive, and with all members of another's list
// before it joins that; an error refuses the one, or all. So a longer list is
// let pass: each living member in it is asked for by itself again.
func (g *guard) NotifyMerge(members []*serf.Member) error {
	if len(members) != 1 {
		return nil
	}
	m, err := toMember(*members[0])
	if err != nil {
		return err
	}
	if m.Name == g.name {
		g.checkConflict(m, time.Now())
		return nil // memberlist lets no other have this member's name
	}
	return g.checkRoom(m.Name)
}

func (g *guard) checkConflict(m Member, now time.Time) {
	if m.Addr == g.addr {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.conflict = now
	if !g.logged.IsZero() && now.Sub(g.logged) < conflictLogGap {
		return
	}
	g.logged = now
	g.log.Error("another member has this host's name, or the fleet has not yet forgotten this host's last address; "+
		"of two members with one name the fleet sees only the first", zap.String("host", g.name), zap.Stringer("other", m.Addr))
}

// inConflict reports whether another member claims this one's name.
func (g *guard) inConflict(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.conflict.IsZero() && now.Sub(g.conflict) < conflictAge
}

func (g *guard) checkRoom(name string) error {
	s := g.serf.Load()
	if s == nil || s.NumNodes() < maxMembers {
		return nil
	}
	if slices.ContainsFunc(s.Members(), func(m serf.Member) bool { return m.Name == name }) {
		return nil
	}
	return errors.New("the fleet has too many members")
}
