package transport

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"crow/internal/release"
)

// ErrUntrustedPeer marks the other end of a connection that this host does not
// take for one of its fleet, or not for what it wants there.
var ErrUntrustedPeer = errors.New("other end is not trusted")

// want is what this host asks of the other end of a handshake.
type want struct {
	fleet string
	use   x509.ExtKeyUsage
	roles []Role // any of these; none: any that is known
	host  string // name or IP that was dialled; empty: it was accepted
}

// check reports why a certificate is not what is wanted at this time. It says
// nothing of the subject of one that the CA did not sign: those words are a
// stranger's.
func (t *trust) check(c *x509.Certificate, w want, now time.Time) error {
	if err := t.signed(c, w.use, now); err != nil {
		return err
	}
	if err := t.current(c, now); err != nil {
		return err
	}
	id := identify(c)
	if err := w.matches(id); err != nil {
		return err
	}
	if w.host != "" && id.Role.serves() && c.VerifyHostname(w.host) != nil {
		return fmt.Errorf("certificate of %s is for %s, not for %s", id.Name, hostsOf(c), w.host)
	}
	return nil
}

// matches holds a certificate's subject against what is wanted.
func (w want) matches(id Identity) error {
	switch {
	case id.Name == "" || id.Name != release.Printable(id.Name):
		return fmt.Errorf("certificate of %q has no proper name: want one, of printable characters", id.Name)
	case id.Fleet == "" || id.Fleet != w.fleet:
		return fmt.Errorf("certificate of %s is of fleet %q, want %s", id.Name, id.Fleet, w.fleet)
	case !slices.Contains(knownRoles, id.Role):
		return fmt.Errorf("certificate of %s is of role %q, want %s", id.Name, id.Role, orOf(knownRoles))
	case len(w.roles) > 0 && !slices.Contains(w.roles, id.Role):
		return fmt.Errorf("certificate of %s is of role %s, want %s", id.Name, id.Role, orOf(w.roles))
	}
	return nil
}

func orOf(roles []Role) string {
	var words []string
	for _, r := range roles {
		words = append(words, string(r))
	}
	return strings.Join(words, " or ")
}

// hostsOf lists whom a certificate is for.
func hostsOf(c *x509.Certificate) string {
	hosts := slices.Clone(c.DNSNames)
	for _, ip := range c.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	if len(hosts) == 0 {
		return "no address"
	}
	return strings.Join(hosts, ", ")
}
