package transport

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// Role is what a certificate lets its holder be.
type Role string

// The roles of a fleet.
const (
	RoleSeeder   Role = "seeder"
	RolePeer     Role = "peer"
	RoleTracker  Role = "tracker"
	RoleOperator Role = "operator" // a person or a pipeline
)

var knownRoles = []Role{RoleSeeder, RolePeer, RoleTracker, RoleOperator}

// serves reports whether others find a host of this role by an address that
// they have from their config, and so can compare with its certificate.
func (r Role) serves() bool { return r == RoleSeeder || r == RoleTracker }

// Identity is what a certificate says of who holds it.
type Identity struct {
	Fleet    string
	Name     string // of the host or operator, within the fleet
	Role     Role
	Addrs    []netip.Addr // addresses and
	Names    []string     // DNS names of its host
	NotAfter time.Time
}

// identify reads a certificate's identity; it is empty where the subject has
// not exactly one of a kind.
func identify(c *x509.Certificate) Identity {
	id := Identity{
		Fleet: one(c.Subject.Organization), Name: one(CommonNames(c.Subject)), Role: Role(one(c.Subject.OrganizationalUnit)),
		Names: slices.Clone(c.DNSNames), NotAfter: c.NotAfter,
	}
	for _, ip := range c.IPAddresses {
		if a, ok := netip.AddrFromSlice(ip); ok {
			id.Addrs = append(id.Addrs, a.Unmap())
		}
	}
	return id
}

var oidCommonName = asn1.ObjectIdentifier{2, 5, 4, 3} // X.520

// CommonNames are all that a subject has. pkix keeps the last one alone, and other
// programs the first: one that reads a single one can be told another name than they.
func CommonNames(subject pkix.Name) (names []string) {
	for _, n := range subject.Names {
		if s, ok := n.Value.(string); ok && n.Type.Equal(oidCommonName) {
			names = append(names, s)
		}
	}
	return names
}

func one(all []string) string {
	if len(all) != 1 {
		return ""
	}
	return all[0]
}

// IdentityOf tells who sent a request; false if it did not come over TLS.
func IdentityOf(r *http.Request) (Identity, bool) {
	if r.TLS == nil {
		return Identity{}, false
	}
	return identityIn(*r.TLS)
}

// PeerIdentity tells who is at the other end of a connection that this package
// made; false if it is not TLS, or before the handshake.
func PeerIdentity(c net.Conn) (Identity, bool) {
	s, ok := c.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return Identity{}, false
	}
	return identityIn(s.ConnectionState())
}

func identityIn(s tls.ConnectionState) (Identity, bool) {
	if !s.HandshakeComplete || len(s.PeerCertificates) == 0 {
		return Identity{}, false
	}
	return identify(s.PeerCertificates[0]), true
}

// MayBe reports whether the holder may say that others reach it at addr: an
// address of its certificate or, if that has none, the one that it calls from.
func (id Identity) MayBe(addr, caller netip.Addr) bool {
	if len(id.Addrs) > 0 {
		return slices.Contains(id.Addrs, addr)
	}
	return addr == caller
}

// CallerAddr is the address that a request came from; the zero one if it did not
// come over TCP.
func CallerAddr(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap().WithZone("")
}
