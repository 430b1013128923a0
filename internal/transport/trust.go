package transport

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// maxCAs is how many CAs a fleet may trust at a time: it needs two while it
// changes from one to the other.
const maxCAs = 8

// trust is whom this host believes: the fleet's CAs, less what they revoked. It
// does not change once made.
type trust struct {
	cas     []*x509.Certificate
	pool    *x509.CertPool
	revoked map[revocation]time.Time // since when
	lists   map[caKey]*big.Int       // the number of each CA's newest list
}

// caKey tells one CA from another: a renewed certificate of the same key is the same
// CA.
type caKey string

func caKeyOf(ca *x509.Certificate) caKey { return caKey(ca.RawSubjectPublicKeyInfo) }

// revocation names a certificate as a CRL does (RFC 5280, 5.3).
type revocation struct{ issuer, serial string }

func revocationOf(issuer []byte, serial *big.Int) revocation {
	return revocation{string(issuer), string(serial.Bytes())}
}

// parseTrust reads the certificates of CAs and, unless crl is nil, their
// revocation lists; both are PEM.
func parseTrust(ca, crl []byte) (*trust, error) {
	t := &trust{pool: x509.NewCertPool(), revoked: map[revocation]time.Time{}, lists: map[caKey]*big.Int{}}
	err := eachPEM(ca, "CERTIFICATE", t.addCA)
	if err == nil && len(t.cas) == 0 {
		err = errors.New("no certificate in it")
	}
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if crl == nil {
		return t, nil
	}
	lists := 0
	err = eachPEM(crl, "X509 CRL", func(der []byte) error {
		added, err := t.addCRL(der)
		if added {
			lists++
		}
		return err
	})
	if err == nil && lists == 0 {
		err = errors.New("no revocation list of the fleet's CA in it")
	}
	if err != nil {
		return nil, fmt.Errorf("crl: %w", err)
	}
	return t, nil
}

// eachPEM hands the blocks of a PEM file to add and refuses other ones.
func eachPEM(b []byte, kind string, add func(der []byte) error) error {
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != kind {
			return fmt.Errorf("a %s is in it: want only %s", block.Type, kind)
		}
		if err := add(block.Bytes); err != nil {
			return err
		}
	}
	return nil
}

func (t *trust) addCA(der []byte) error {
	c, err := x509.ParseCertificate(der)
	switch {
	case err != nil:
		return err
	case !c.IsCA:
		return fmt.Errorf("certificate of %q is not a CA's", c.Subject.CommonName)
	case len(t.cas) == maxCAs:
		return fmt.Errorf("over %d certificates", maxCAs)
	}
	t.cas = append(t.cas, c)
	t.pool.AddCert(c)
	return nil
}

// addCRL takes the entries of one list if it is of one of the CAs. Another's is
// left out without an error: the lists of the old and the new CA may be in the
// file for longer than both are trusted.
func (t *trust) addCRL(der []byte) (added bool, err error) {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return false, err
	}
	for _, ca := range t.cas {
		if !isIssuer(ca, list.RawIssuer, list.AuthorityKeyId) {
			continue
		}
		if err := list.CheckSignatureFrom(ca); err != nil {
			return false, fmt.Errorf("check signature of list %d: %w", list.Number, err)
		}
		for _, e := range list.RevokedCertificateEntries {
			t.revoked[revocationOf(list.RawIssuer, e.SerialNumber)] = e.RevocationTime
		}
		if n := numberOf(list); t.lists[caKeyOf(ca)] == nil || n.Cmp(t.lists[caKeyOf(ca)]) > 0 {
			t.lists[caKeyOf(ca)] = n
		}
		return true, nil
	}
	return false, nil
}

// numberOf is the list's place among those of its CA (RFC 5280, 5.2.3); one without
// a number comes before all that have one.
func numberOf(list *x509.RevocationList) *big.Int {
	if list.Number == nil {
		return new(big.Int)
	}
	return list.Number
}

// follows reports why t may not take the place of what is in force: a list of a CA
// that is still trusted has gone, or is older, and what was revoked since would hold
// again. That is an old copy, put there by mistake or by somebody who gains by it.
func (t *trust) follows(before *trust) error {
	for _, ca := range t.cas {
		was, is := before.lists[caKeyOf(ca)], t.lists[caKeyOf(ca)]
		switch {
		case was == nil:
		case is == nil:
			return fmt.Errorf("crl: the list of %q is not in it, and number %d is in force: put back the CA's newest list", ca.Subject.CommonName, was)
		case is.Cmp(was) < 0:
			return fmt.Errorf("crl: the list of %q is older than the one in force: number %d, not %d or more; put the CA's newest list there",
				ca.Subject.CommonName, is, was)
		}
	}
	return nil
}

// errStranger marks a certificate that the fleet's CA did not sign for such use.
// Anyone can have that, so it is worth less attention than one that expired.
var errStranger = errors.New("the fleet's CA does not vouch for the certificate")

// isIssuer reports whether a list or certificate says that it is of this CA, by
// name and, where it gives one, by key.
func isIssuer(ca *x509.Certificate, name, key []byte) bool {
	sameKey := len(key) == 0 || len(ca.SubjectKeyId) == 0 || bytes.Equal(key, ca.SubjectKeyId)
	return sameKey && bytes.Equal(name, ca.RawSubject)
}

// still reports why a certificate that passed a handshake does not hold any more.
// That takes no signature, so that each request can ask.
func (t *trust) still(c *x509.Certificate, now time.Time) error {
	for _, ca := range t.cas {
		if isIssuer(ca, c.RawIssuer, c.AuthorityKeyId) {
			return t.current(c, now)
		}
	}
	return fmt.Errorf("certificate of %s is of a CA that is trusted no more", c.Subject.CommonName)
}

// signed reports errStranger unless one of the CAs itself signed a certificate
// for this use. There are no CAs in between: their revocation lists would be
// missing. Time is left to current, which has better words, except the CA's own.
func (t *trust) signed(c *x509.Certificate, use x509.ExtKeyUsage, now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		now = c.NotBefore
	case now.After(c.NotAfter):
		now = c.NotAfter
	}
	_, err := c.Verify(x509.VerifyOptions{Roots: t.pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{use}})
	if err != nil {
		return fmt.Errorf("%w: %w", errStranger, err)
	}
	return nil
}

// current reports why a certificate that a CA signed does not hold at this time.
func (t *trust) current(c *x509.Certificate, now time.Time) error {
	name := c.Subject.CommonName
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("certificate of %s holds only from %s on: is this host's clock right?", name, date(c.NotBefore))
	case now.After(c.NotAfter):
		return fmt.Errorf("certificate of %s expired on %s", name, date(c.NotAfter))
	}
	if since, ok := t.revoked[revocationOf(c.RawIssuer, c.SerialNumber)]; ok {
		return fmt.Errorf("certificate of %s was revoked on %s", name, date(since))
	}
	return nil
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
