package tracker

import (
	"net/netip"
	"time"
)

// role is what a host does in a swarm.
type role uint8

const (
	downloader role = iota // still lacks pieces
	seed                   // has them all
	roles
)

// counts is a number of members of each role.
type counts [roles]int

func (c counts) sum() int { return c[downloader] + c[seed] }

// member is one address in a swarm. A host with an address of each family is
// two of them, under one id.
type member struct {
	addr    netip.AddrPort
	id      peerID
	expires time.Time
}

// swarm is the hosts that one torrent has. Members are found by address and
// drawn by number, so each is in a list and the index says where. The caller
// holds the tracker's lock.
type swarm struct {
	members   [roles][]member
	at        map[netip.AddrPort]place
	total     *counts // of all swarms, kept up to date with this one
	completed int64   // completed events
}

type place struct {
	role role
	i    int
}

func newSwarm(total *counts) *swarm { return &swarm{at: map[netip.AddrPort]place{}, total: total} }

func (s *swarm) counts() counts { return counts{len(s.members[downloader]), len(s.members[seed])} }

// put adds a member or replaces what was known of its address.
func (s *swarm) put(m member, r role) {
	if p, ok := s.at[m.addr]; ok {
		if p.role == r {
			s.members[r][p.i] = m
			return
		}
		s.remove(p)
	}
	s.at[m.addr] = place{r, len(s.members[r])}
	s.members[r] = append(s.members[r], m)
	s.total[r]++
}

// remove takes a member out and moves the last of its list into the gap.
func (s *swarm) remove(p place) {
	list := s.members[p.role]
	last := len(list) - 1
	delete(s.at, list[p.i].addr)
	if p.i != last {
		list[p.i] = list[last]
		s.at[list[p.i].addr] = p
	}
	s.members[p.role] = list[:last]
	s.total[p.role]--
}

// expire removes the members whose time has passed. It goes from the end, so
// that what remove moves has been looked at.
func (s *swarm) expire(now time.Time) {
	for r := range roles {
		for i := len(s.members[r]) - 1; i >= 0; i-- {
			if now.After(s.members[r][i].expires) {
				s.remove(place{r, i})
			}
		}
	}
}

// clear removes all members.
func (s *swarm) clear() {
	for r, n := range s.counts() {
		s.total[r] -= n
	}
	*s = *newSwarm(s.total)
}
