package swarm

import (
	"net/netip"
	"sync"
)

// Connections that came in and have not said yet what they want. The client gives
// each a few seconds; without a bound they could take all of the process's files.
const (
	maxGreeting   = 128
	maxGreetingIP = 32 // of one IP, behind which a fleet of a test may live
	// While all places are taken, few: most are turned away when they have greeted.
	maxGreetingFull = 8
)

// greetings counts them.
type greetings struct {
	mu   sync.Mutex
	all  int
	from map[netip.Addr]int
}

// enter lets one in, unless there are too many. done, which may be called twice,
// is for when it has greeted or is gone.
func (g *greetings) enter(ip netip.Addr, full bool) (done func(), ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= maxGreeting || full && g.all >= maxGreetingFull || g.from[ip] >= maxGreetingIP {
		return nil, false
	}
	if g.from == nil {
		g.from = map[netip.Addr]int{}
	}
	g.all++
	g.from[ip]++
	return sync.OnceFunc(func() { g.leave(ip) }), true
}

func (g *greetings) leave(ip netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.from[ip]--; g.from[ip] == 0 {
		delete(g.from, ip)
	}
}
