package swarm

import (
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// What the client makes of an alias: an IP to turn away from, a number for a port,
// and no address to hash blocks for.
func TestAlias(t *testing.T) {
	for _, of := range []uint64{0, 1, 1<<64 - 1, 0x0123456789abcdef} {
		alias := newAlias(of)
		host, port, err := net.SplitHostPort(alias)
		if err != nil || net.ParseIP(host) == nil {
			t.Errorf("%s: host %q (%v)", alias, host, err)
		}
		if n, err := strconv.ParseInt(port, 0, 0); err != nil || n == 0 {
			t.Errorf("%s: port %d (%v)", alias, n, err)
		}
		if a, err := netip.ParseAddrPort(alias); err == nil {
			t.Errorf("%s is taken for %s", alias, a)
		}
	}
}

func TestWhoIsBehindAnAlias(t *testing.T) {
	s := node(t, RolePeer, "127.0.0.1")
	one, other := newTransfer(s, oddTorrent, &file{}), newTransfer(s, oddTorrent, &file{})
	s.mu.Lock()
	s.transfers[[20]byte{1}], s.transfers[[20]byte{2}] = one, other
	s.mu.Unlock()
	defer func() { // they are of no torrent, and end with none
		s.mu.Lock()
		defer s.mu.Unlock()
		clear(s.transfers)
	}()
	addr := netip.MustParseAddrPort("10.0.0.7:7401")
	a := one.wanted([]netip.AddrPort{addr}, time.Now())[0]
	b := other.wanted([]netip.AddrPort{addr}, time.Now())[0]
	if a.alias == b.alias || a.alias != one.toDial(addr).alias {
		t.Errorf("aliases %s and %s: want one for each transfer, always the same", a.alias, b.alias)
	}
	behind := func(alias string) *remoteAddr {
		_, a := s.behind(alias)
		return a
	}
	if behind(a.alias) != a || behind(b.alias) != b || behind("elsewhere") != nil {
		t.Error("other addresses are behind the aliases")
	}
	if a.addr != addr {
		t.Errorf("address %s, want %s", a.addr, addr)
	}
}
