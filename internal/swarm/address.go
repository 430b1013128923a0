package swarm

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
)

// remoteAddr is a neighbour's address under an alias, which is all that the client
// is told. By itself the client takes the IP of who sent a bad piece for bad until
// the process ends, with all that is behind that IP, and hashes each block twice
// more to find out. What it gets is an IP that one connection alone has, or one
// address within one transfer: to turn away from that is to end a connection. The
// package finds out itself whom to blame, and for how long: standing.go.
type remoteAddr struct {
	alias   string
	addr    netip.AddrPort
	dialled bool // else it came from there
}

// Network implements net.Addr.
func (a *remoteAddr) Network() string { return "tcp" }

// String implements net.Addr.
func (a *remoteAddr) String() string { return a.alias }

// newAlias makes an alias of 8 bytes. The IP is of the block that is for being
// discarded (RFC 6666), so that nothing is sent there by mistake. The client keeps
// an IP to hash blocks for only if the port is a decimal number, and panics over
// an address without IP or without any number: hence the port.
func newAlias(of uint64) string {
	return fmt.Sprintf("[100::%x:%x:%x:%x]:0x1", of>>48, of>>32&0xffff, of>>16&0xffff, of&0xffff)
}

// accepted is the address of a connection that came in: another one each time.
func accepted(c net.Conn) *remoteAddr {
	a := &remoteAddr{alias: newAlias(rand.Uint64())}
	if tcp, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		a.addr = plain(tcp.AddrPort())
	}
	return a
}

// toDial is an address to dial. Within a transfer its alias is always the same, by
// which the client knows whom it is dialling already.
func (t *transfer) toDial(addr netip.AddrPort) *remoteAddr {
	sum := sha256.Sum256(fmt.Append(nil, t.nonce, addr))
	return &remoteAddr{alias: newAlias(binary.BigEndian.Uint64(sum[:])), addr: plain(addr), dialled: true}
}

// plain is an address with an IPv4 address as such.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// behind finds whom the client means to dial, and for which transfer. Both are nil if
// that is no longer wanted.
func (s *Swarm) behind(alias string) (*transfer, *remoteAddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.transfers {
		if a := t.offeredAs(alias); a != nil {
			return t, a
		}
	}
	return nil, nil
}

func (t *transfer) offeredAs(alias string) *remoteAddr {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.offered {
		if o.as.alias == alias {
			return o.as
		}
	}
	return nil
}
