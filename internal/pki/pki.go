// Package pki makes a fleet's certificates: its CA, the certificates of its
// nodes and operators, and the list of those that were revoked.
//
// It owns what they say and the CA's folder. Who may talk to whom by them is for
// internal/transport to decide, on every connection; where a node keeps its own
// is for cmd. It knows the standard library and the vocabulary only.
//
// A certificate's subject says which fleet (O), which role (OU) and whose name
// (CN); its alternative names are the addresses at which it may be dialled.
package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"crow/internal/release"
)

// Roles are what a certificate can be for.
var Roles = []string{"seeder", "peer", "tracker", "operator"}

const (
	// DefaultLifetime is that of a certificate whose request names none.
	DefaultLifetime = 365 * 24 * time.Hour
	// caYears is the lifetime of a CA: longer than a server's.
	caYears = 10
	// backdate lets a certificate hold on hosts whose clocks are late.
	backdate = time.Hour
)

// The types of PEM blocks.
const (
	blockCert = "CERTIFICATE"
	blockKey  = "PRIVATE KEY"
	blockCRL  = "X509 CRL"
)

// CA is a fleet's certificate authority. It is not safe for concurrent use.
type CA struct {
	// Now is the clock that certificates and lists are dated by; nil is time.Now.
	Now func() time.Time

	cert *x509.Certificate
	key  crypto.Signer
	crl  *x509.RevocationList // nil before the first Revoke
	dir  string               // empty until it is saved or loaded
}

// NewCA makes the CA of a new fleet, for ten years from now. It is in memory
// only until Save. A fleet's name is as a host's; otherwise the error is
// release.ErrInvalid.
func NewCA(fleet string, now time.Time) (*CA, error) {
	if err := validateName("fleet", fleet); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of ca: %w", err)
	}
	template := &x509.Certificate{
		Subject:   pkix.Name{Organization: []string{fleet}, CommonName: "crow CA of " + fleet},
		NotBefore: now.Add(-backdate), NotAfter: now.AddDate(caYears, 0, 0),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		IsCA:     true, BasicConstraintsValid: true, MaxPathLenZero: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make certificate of ca: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate of ca: %w", err)
	}
	return &CA{cert: cert, key: key}, nil
}

// Fleet is the name of the fleet whose CA it is.
func (ca *CA) Fleet() string { return ca.cert.Subject.Organization[0] }

// Cert is the CA's own certificate in PEM, which every node gets.
func (ca *CA) Cert() []byte { return encode(blockCert, ca.cert.Raw) }

// NotAfter is when the CA's own certificate ends, and with it all others.
func (ca *CA) NotAfter() time.Time { return ca.cert.NotAfter }

func (ca *CA) now() time.Time {
	if ca.Now == nil {
		return time.Now()
	}
	return ca.Now()
}

// validateName checks a fleet's name as if it were a host's.
func validateName(what, name string) error {
	if err := release.ValidateHost(name); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func validateRole(role string) error {
	if !slices.Contains(Roles, role) {
		return fmt.Errorf("%w role %.80q: want one of %v", release.ErrInvalid, role, Roles)
	}
	return nil
}

func encode(block string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: block, Bytes: der})
}

// decode reads one PEM block of a type; text in front of it, as tools put there,
// is passed over, but a second block is not.
func decode(block string, text []byte) ([]byte, error) {
	b, rest := pem.Decode(text)
	if b == nil || b.Type != block || len(bytes.TrimSpace(rest)) > 0 {
		return nil, fmt.Errorf("%w PEM: want one block of %s", release.ErrInvalid, block)
	}
	return b.Bytes, nil
}
