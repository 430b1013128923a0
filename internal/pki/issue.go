package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"crow/internal/release"
)

// MaxHosts bounds the addresses in one certificate: a machine's own.
const MaxHosts = 64

// maxDNSLen bounds a DNS name, in bytes (RFC 1035).
const maxDNSLen = 253

// Request asks for a certificate.
type Request struct {
	Role string // one of Roles
	Name string // of the node or person, as a host's name
	// Hosts are the IP addresses and DNS names at which it may be dialled. A
	// seeder and a tracker need one, since whoever dials them compares.
	Hosts []string
	// Lifetime is from now on, at most to the CA's own end; 0 is DefaultLifetime.
	Lifetime time.Duration
}

// Validate checks every field. The error is release.ErrInvalid.
func (r Request) Validate() error {
	if err := validateRole(r.Role); err != nil {
		return err
	}
	if err := release.ValidateHost(r.Name); err != nil {
		return err
	}
	switch {
	case r.Lifetime < 0:
		return fmt.Errorf("%w lifetime %s: it is negative", release.ErrInvalid, r.Lifetime)
	case len(r.Hosts) > MaxHosts:
		return fmt.Errorf("%w hosts: %d, at most %d are allowed", release.ErrInvalid, len(r.Hosts), MaxHosts)
	case len(r.Hosts) == 0 && (r.Role == "seeder" || r.Role == "tracker"):
		return fmt.Errorf("%w hosts: a %s needs an address or DNS name to be dialled at", release.ErrInvalid, r.Role)
	}
	_, _, err := addresses(r.Hosts)
	return err
}

// Issue makes a key and its certificate, both in PEM.
func (ca *CA) Issue(r Request) (certPEM, keyPEM []byte, err error) {
	if err := r.Validate(); err != nil {
		return nil, nil, err
	}
	template, err := ca.template(r)
	if err != nil {
		return nil, nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make key of %s: %w", r.Name, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key.Public(), ca.key)
	if err != nil {
		return nil, nil, fmt.Errorf("make certificate of %s: %w", r.Name, err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, fmt.Errorf("make key of %s: %w", r.Name, err)
	}
	return encode(blockCert, der), encode(blockKey, keyDER), nil
}

// template is what the certificate says. Every node calls and is called, so it
// holds for both ends of a connection.
func (ca *CA) template(r Request) (*x509.Certificate, error) {
	ips, names, err := addresses(r.Hosts)
	if err != nil {
		return nil, err
	}
	now := ca.now()
	if !now.Before(ca.cert.NotAfter) {
		return nil, fmt.Errorf("make certificate of %s: the ca expired on %s", r.Name, ca.cert.NotAfter.Format(time.RFC3339))
	}
	end := now.Add(DefaultLifetime)
	if r.Lifetime > 0 {
		end = now.Add(r.Lifetime)
	}
	if end.After(ca.cert.NotAfter) {
		end = ca.cert.NotAfter
	}
	return &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{ca.Fleet()}, OrganizationalUnit: []string{r.Role}, CommonName: r.Name},
		NotBefore: now.Add(-backdate), NotAfter: end,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IPAddresses:           ips, DNSNames: names,
	}, nil
}

// addresses sorts hosts into IP addresses and DNS names.
func addresses(hosts []string) (ips []net.IP, names []string, err error) {
	for _, h := range hosts {
		ip, parseErr := netip.ParseAddr(h)
		ip = ip.Unmap()
		switch {
		case parseErr == nil && ip.Zone() == "" && !ip.IsUnspecified():
			ips = append(ips, ip.AsSlice())
		case parseErr != nil && isDNSName(h):
			names = append(names, h)
		default:
			return nil, nil, fmt.Errorf("%w host %.80q: want an IP address or a DNS name, without a port", release.ErrInvalid, h)
		}
	}
	return ips, names, nil
}

// isDNSName reports whether s is a name that one dials. Wildcards are none: a
// certificate is for one node.
func isDNSName(s string) bool {
	if len(s) > maxDNSLen || isNumeric(s[strings.LastIndexByte(s, '.')+1:]) {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' || strings.ContainsFunc(label, notInLabel) {
			return false
		}
	}
	return true
}

func notInLabel(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
}

// isNumeric finds mistyped addresses: no top-level domain is a number.
func isNumeric(s string) bool { return strings.Trim(s, "0123456789") == "" }
