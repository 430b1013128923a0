package tracker

import (
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// addrOf is the address of host i of a test.
func addrOf(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 7401)
}

func memberOf(i int) member {
	return member{addr: addrOf(i), id: peerID{1, byte(i >> 16), byte(i >> 8), byte(i)}, expires: time.Unix(1<<40, 0)}
}

// The swarm is compared with a plain map through any sequence of changes.
func TestSwarmKeepsItsBooks(t *testing.T) {
	type listed struct {
		role    role
		expires int64
	}
	rapid.Check(t, func(t *rapid.T) {
		var total counts
		other, s := newSwarm(&total), newSwarm(&total)
		other.put(memberOf(1), seed)
		model := map[netip.AddrPort]listed{}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				addr := addrOf(rapid.IntRange(0, 9).Draw(t, "host"))
				l := listed{role(rapid.IntRange(0, 1).Draw(t, "role")), rapid.Int64Range(0, 9).Draw(t, "expires")}
				s.put(member{addr: addr, expires: time.Unix(l.expires, 0)}, l.role)
				model[addr] = l
			},
			"remove": func(t *rapid.T) {
				addr := addrOf(rapid.IntRange(0, 9).Draw(t, "host"))
				if p, ok := s.at[addr]; ok {
					s.remove(p)
				}
				delete(model, addr)
			},
			"expire": func(t *rapid.T) {
				now := rapid.Int64Range(0, 9).Draw(t, "now")
				s.expire(time.Unix(now, 0))
				for addr, l := range model {
					if l.expires < now {
						delete(model, addr)
					}
				}
			},
			"clear": func(*rapid.T) { s.clear(); clear(model) },
			"": func(t *rapid.T) {
				if s.counts().sum() != len(model) || len(s.at) != len(model) || total.sum() != len(model)+1 {
					t.Fatalf("counts %v, index %d, total %v; want %d", s.counts(), len(s.at), total, len(model))
				}
				for addr, l := range model {
					p := s.at[addr]
					if m := s.members[p.role][p.i]; p.role != l.role || m.addr != addr || m.expires.Unix() != l.expires {
						t.Fatalf("%v at %v is %+v, want %+v", addr, p, m, l)
					}
				}
			},
		})
	})
}
