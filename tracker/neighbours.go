package tracker

import "time"

// neighbours is what an announce gets.
type neighbours struct {
	members  []member
	counts   counts // of the swarm
	interval time.Duration
}

// announce takes a client's word into its swarm and chooses neighbours for it.
func (t *Tracker) announce(a announce, now time.Time) (neighbours, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.swarms[a.infohash]
	if s == nil {
		return neighbours{}, failUnregistered
	}
	every := interval(a.role, t.total, t.cfg.MinInterval, t.cfg.MaxInterval)
	if a.event == eventStopped {
		s.stop(a)
		return neighbours{counts: s.counts(), interval: every}, nil
	}
	if t.full(s, a) {
		return neighbours{}, failFull
	}
	every = min(spread(every, t.rng.Float64()), t.cfg.MaxInterval)
	s.join(a, now.Add(life(every)))
	n := t.cfg.MaxNeighbours
	if a.numwant >= 0 {
		n = min(n, a.numwant)
	}
	chosen := choose(s, asker{id: a.id, addrs: a.addrs, role: a.role}, n, t.rng)
	return neighbours{members: chosen, counts: s.counts(), interval: every}, nil
}

// full reports whether an announce would take the tracker over its limits.
// Who is listed already may always renew.
func (t *Tracker) full(s *swarm, a announce) bool {
	added := 0
	for _, addr := range a.addrs {
		if _, ok := s.at[addr]; !ok {
			added++
		}
	}
	return s.counts().sum()+added > t.limits.swarm || t.total.sum()+added > t.limits.total
}

// join lists the client under its addresses.
func (s *swarm) join(a announce, expires time.Time) {
	if a.event == eventCompleted && s.isNewSeed(a) {
		s.completed++
	}
	for _, addr := range a.addrs {
		s.put(member{addr: addr, id: a.id, expires: expires}, a.role)
	}
}

// isNewSeed keeps an event that a client repeats from being counted again.
func (s *swarm) isNewSeed(a announce) bool {
	p, listed := s.at[a.addrs[0]]
	return a.role == seed && (!listed || p.role != seed)
}

// stop takes the client out. What its successor at the same address announced
// stays: a restarted agent may be faster than the last word of the old one.
func (s *swarm) stop(a announce) {
	for _, addr := range a.addrs {
		if p, ok := s.at[addr]; ok && s.members[p.role][p.i].id == a.id {
			s.remove(p)
		}
	}
}
