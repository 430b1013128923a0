package seeder

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/transport"
)

// Who may make which calls, by the role in the caller's certificate. Without TLS,
// which is for loopback and labs, there are no callers to tell apart.
var (
	operators = []transport.Role{transport.RoleOperator}
	peers     = []transport.Role{transport.RolePeer}
	fetchers  = []transport.Role{transport.RolePeer, transport.RoleSeeder, transport.RoleOperator}
	anyone    = []transport.Role{transport.RoleOperator, transport.RolePeer, transport.RoleSeeder, transport.RoleTracker}
)

func forbidden(hint, format string, args ...any) *control.Error {
	return &control.Error{Code: control.CodeForbidden, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// allow refuses callers whose certificates are of other roles.
func allow(r *http.Request, roles []transport.Role) error {
	id, ok := transport.IdentityOf(r)
	if !ok || slices.Contains(roles, id.Role) {
		return nil
	}
	return forbidden("", "%s %.80q is for the role %s, and the certificate of %s is of the role %s", r.Method, r.URL.Path, roles[0], id.Name, id.Role)
}

// ownName refuses a host that speaks for another one.
func ownName(r *http.Request, name string) error {
	id, ok := transport.IdentityOf(r)
	if !ok || id.Name == name {
		return nil
	}
	return forbidden("give the host the name of its certificate in its config", "host %.80q: the certificate is that of %s", name, id.Name)
}

// ownAddress refuses a host that says it is at another one's address. A
// certificate without addresses leaves it the one that it calls from.
func ownAddress(r *http.Request, address string) error {
	id, ok := transport.IdentityOf(r)
	if !ok {
		return nil
	}
	ip, err := netip.ParseAddr(address)
	if err == nil && id.MayBe(ip.Unmap(), transport.CallerAddr(r)) {
		return nil
	}
	return forbidden("crow cert issue --role peer --name "+id.Name+" --host ADDRESS",
		"host %s: address %.80q is not one of its certificate's", id.Name, address)
}

// certificateEnd is until when the caller's certificate holds; zero without TLS.
func certificateEnd(r *http.Request) time.Time {
	id, _ := transport.IdentityOf(r)
	return id.NotAfter
}

// callerOf names the caller for the audit log.
func callerOf(r *http.Request) (who, role string) {
	if id, ok := transport.IdentityOf(r); ok {
		return id.Name, string(id.Role)
	}
	return transport.CallerAddr(r).String(), ""
}
