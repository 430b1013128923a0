package pki

import (
	"crypto/x509"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newCA(t testing.TB) *CA {
	t.Helper()
	ca, err := NewCA("crows", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t testing.TB, ca *CA, r Request) (certPEM, keyPEM []byte) {
	t.Helper()
	cert, key, err := ca.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func parse(t testing.TB, text []byte) *x509.Certificate {
	t.Helper()
	der, err := decode(blockCert, text)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
