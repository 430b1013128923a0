package tracker

import (
	"net/http"
	"net/netip"

	"crow/internal/transport"
)

// mayAnnounce refuses callers whose certificates do not let them be part of a
// swarm, or not at these addresses: the others would be sent to a host that never
// asked for it. Without TLS there is nothing to tell callers apart by.
func mayAnnounce(r *http.Request, addrs []netip.AddrPort) error {
	id, ok := transport.IdentityOf(r)
	if !ok {
		return nil
	}
	if id.Role != transport.RolePeer && id.Role != transport.RoleSeeder {
		return failRole
	}
	for _, a := range addrs {
		if !id.MayBe(a.Addr(), transport.CallerAddr(r)) {
			return failForeignIP
		}
	}
	return nil
}
