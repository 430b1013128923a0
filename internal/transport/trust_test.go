package transport

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"
)

// sample is a certificate with why the fleet does not take it.
type sample struct {
	leaf     leaf
	why      string // empty: it is good
	stranger bool   // it says nothing of the fleet
}

// samples are good and bad certificates; the one called revoked is yet to be.
func samples(a *authority) map[string]sample {
	change := func(f func(c *x509.Certificate)) leaf { return a.issue(RolePeer, "web-1", f) }
	return map[string]sample{
		"peer":          {a.issue(RolePeer, "web-1", nil), "", false},
		"operator":      {a.issue(RoleOperator, "ann@example", nil), "", false},
		"other CA":      {newAuthority(a.t).issue(RolePeer, "web-1", nil), "does not vouch for the certificate: x509: certificate signed by unknown authority", true},
		"CA in between": {viaBetween(a), "unknown authority", true},
		"other use":     {change(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }), "incompatible key usage", true},
		"expired":       {change(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), "certificate of web-1 expired on 20", false},
		"not yet valid": {change(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) }), "certificate of web-1 holds only from 20", false},
		"revoked":       {a.issue(RolePeer, "revoked-1", nil), "certificate of revoked-1 was revoked on 20", false},
		"other fleet":   {change(func(c *x509.Certificate) { c.Subject.Organization[0] = "rooks" }), `certificate of web-1 is of fleet "rooks", want crows`, false},
		"no fleet":      {change(func(c *x509.Certificate) { c.Subject.Organization = nil }), `certificate of web-1 is of fleet "", want crows`, false},
		"two fleets":    {change(func(c *x509.Certificate) { c.Subject.Organization = []string{"crows", "rooks"} }), `is of fleet "", want crows`, false},
		"unknown role":  {a.issue("boss", "web-1", nil), `certificate of web-1 is of role "boss", want seeder or peer or tracker or operator`, false},
		"two roles":     {change(func(c *x509.Certificate) { c.Subject.OrganizationalUnit = []string{"peer", "seeder"} }), `is of role ""`, false},
		"no name":       {a.issue(RolePeer, "", nil), "no proper name", false},
		"two names": {change(func(c *x509.Certificate) {
			commonName := asn1.ObjectIdentifier{2, 5, 4, 3}
			c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: commonName, Value: "web-2"}, {Type: commonName, Value: "web-1"}}
		}), "no proper name", false},
		"name with ESC": {a.issue(RolePeer, "web\x1b[2J", nil), "no proper name", false},
	}
}

// viaBetween is of an authority that a trusted one signed, with that one's
// certificate.
func viaBetween(a *authority) leaf {
	b := newAuthority(a.t)
	own := a.issue(RolePeer, "between", func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	})
	b.cert, b.key = own.cert, own.pair.PrivateKey.(*ecdsa.PrivateKey)
	l := b.issue(RolePeer, "web-1", nil)
	l.pair.Certificate = append(l.pair.Certificate, own.cert.Raw)
	return l
}

func TestParseTrust(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	l := a.issue(RolePeer, "web-1", nil)
	both := slices.Concat(a.pem, b.pem)
	block, _ := pem.Decode(b.revoke(l))
	block.Bytes[len(block.Bytes)-1]++ // the signature's end
	damaged := pem.EncodeToMemory(block)
	for name, test := range map[string]struct {
		ca, crl []byte
		revoked int
		err     string
	}{
		"no list":               {a.pem, nil, 0, ""},
		"empty list":            {a.pem, a.revoke(), 0, ""},
		"a list":                {a.pem, a.revoke(l), 1, ""},
		"two CAs, one list":     {both, a.revoke(l), 1, ""},
		"two CAs, two lists":    {both, slices.Concat(a.revoke(l), b.revoke(a.issue(RolePeer, "web-2", nil))), 2, ""},
		"a list of another CA":  {a.pem, slices.Concat(b.revoke(l), a.revoke()), 0, ""},
		"only of another CA":    {a.pem, b.revoke(l), 0, "crl: no revocation list of the fleet's CA"},
		"a list that is no PEM": {a.pem, []byte("x"), 0, "crl: no revocation list"},
		"damaged list":          {both, slices.Concat(a.revoke(), damaged), 0, "crl: check signature of list 1: "},
		"a certificate as list": {a.pem, l.pem, 0, "crl: a CERTIFICATE is in it"},
		"no CA":                 {nil, nil, 0, "ca: no certificate"},
		"a leaf as CA":          {l.pem, nil, 0, `ca: certificate of "web-1" is not a CA's`},
		"a key as CA":           {l.keys, nil, 0, "ca: a PRIVATE KEY is in it"},
		"too many CAs":          {bytes.Repeat(a.pem, maxCAs+1), nil, 0, "ca: over 8 certificates"},
	} {
		got, err := parseTrust(test.ca, test.crl)
		switch {
		case test.err == "" && (err != nil || len(got.revoked) != test.revoked):
			t.Errorf("%s: %+v, %v", name, got, err)
		case test.err != "" && (err == nil || !strings.HasPrefix(err.Error(), test.err)):
			t.Errorf("%s: %v, want %s", name, err, test.err)
		}
	}
}

func TestStill(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	l := a.issue(RolePeer, "web-1", nil)
	for name, test := range map[string]struct {
		ca, crl []byte
		after   time.Duration
		err     string
	}{
		"as before":       {a.pem, nil, 0, ""},
		"with another CA": {slices.Concat(b.pem, a.pem), nil, 0, ""},
		"revoked":         {a.pem, a.revoke(l), 0, "certificate of web-1 was revoked"},
		"expired":         {a.pem, nil, 2 * time.Hour, "certificate of web-1 expired"},
		"without its CA":  {b.pem, nil, 0, "certificate of web-1 is of a CA that is trusted no more"},
	} {
		err := must[*trust](t)(parseTrust(test.ca, test.crl)).still(l.cert, time.Now().Add(test.after))
		if (err == nil) != (test.err == "") || err != nil && !strings.HasPrefix(err.Error(), test.err) {
			t.Errorf("%s: %v, want %q", name, err, test.err)
		}
	}
}

func TestCAExpires(t *testing.T) {
	a := newAuthority(t)
	l := a.issue(RolePeer, "web-1", func(c *x509.Certificate) { c.NotAfter = a.cert.NotAfter.Add(time.Hour) })
	trusted := must[*trust](t)(parseTrust(a.pem, nil))
	for at, ok := range map[time.Time]bool{a.cert.NotAfter: true, a.cert.NotAfter.Add(time.Second): false} {
		if err := trusted.signed(l.cert, x509.ExtKeyUsageClientAuth, at); (err == nil) != ok {
			t.Errorf("at %s: %v", at, err)
		}
	}
}

func FuzzParseTrust(f *testing.F) {
	a := newAuthority(f)
	f.Add(a.pem, a.revoke(a.issue(RolePeer, "web-1", nil)))
	f.Add(a.pem, []byte(nil))
	f.Fuzz(func(t *testing.T, ca, crl []byte) {
		if got, err := parseTrust(ca, crl); err == nil && (len(got.cas) == 0 || len(got.cas) > maxCAs) {
			t.Errorf("%d CAs", len(got.cas))
		}
	})
}
