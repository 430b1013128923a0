package transport

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap"
)

// authority makes certificates for a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	return must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

func newSerial(t testing.TB) *big.Int {
	return must[*big.Int](t)(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120)))
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t, key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: newSerial(t), Subject: pkix.Name{Organization: []string{"crows"}, CommonName: "CA"},
		NotBefore: time.Now().Add(-1e6 * time.Second), NotAfter: time.Now().Add(1e8 * time.Second),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der := must[[]byte](t)(x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key))
	a.cert = must[*x509.Certificate](t)(x509.ParseCertificate(der))
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// leaf is one certificate with its key.
type leaf struct {
	cert      *x509.Certificate
	pair      tls.Certificate
	pem, keys []byte
}

// issue makes a certificate for 127.0.0.1 and localhost that holds today, with
// what change makes of that.
func (a *authority) issue(role Role, name string, change func(*x509.Certificate)) leaf {
	a.t.Helper()
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: newSerial(a.t),
		Subject:      pkix.Name{Organization: []string{"crows"}, OrganizationalUnit: []string{string(role)}, CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{{127, 0, 0, 1}}, DNSNames: []string{"localhost"},
	}
	if change != nil {
		change(template)
	}
	der := must[[]byte](a.t)(x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key))
	l := leaf{
		cert: must[*x509.Certificate](a.t)(x509.ParseCertificate(der)),
		pem:  pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		keys: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must[[]byte](a.t)(x509.MarshalPKCS8PrivateKey(key))}),
	}
	l.pair = must[tls.Certificate](a.t)(tls.X509KeyPair(l.pem, l.keys))
	return l
}

// revoke makes a list of revoked certificates, the CA's first.
func (a *authority) revoke(leaves ...leaf) []byte { return a.list(1, leaves...) }

// list makes the CA's list of that number.
func (a *authority) list(number int64, leaves ...leaf) []byte {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}
	for _, l := range leaves {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: l.cert.SerialNumber, RevocationTime: time.Now()})
	}
	der := must[[]byte](a.t)(x509.CreateRevocationList(rand.Reader, template, a.cert, a.key))
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// write puts a file in place as one that is renamed there, at once.
func write(t testing.TB, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// files writes what a config names, with an empty list of revoked certificates.
func (a *authority) files(l leaf) TLS {
	a.t.Helper()
	dir := a.t.TempDir()
	f := TLS{
		CA: filepath.Join(dir, "ca.pem"), Cert: filepath.Join(dir, "cert.pem"),
		Key: filepath.Join(dir, "key.pem"), CRL: filepath.Join(dir, "crl.pem"),
	}
	write(a.t, f.CA, a.pem)
	write(a.t, f.CRL, a.revoke())
	f.put(a.t, l)
	return f
}

// put replaces the host's own certificate.
func (f TLS) put(t testing.TB, l leaf) {
	write(t, f.Cert, l.pem)
	write(t, f.Key, l.keys)
}

// open has a host of the fleet that looks at its files at each handshake.
func (a *authority) open(l leaf, log *zap.Logger) (Security, TLS) {
	a.t.Helper()
	f := a.files(l)
	s := must[Security](a.t)(Open(f, false, log))
	s.keys.every = 0
	return s, f
}
