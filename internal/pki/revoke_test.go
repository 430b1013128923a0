package pki

import (
	"crypto/x509"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"crow/internal/release"
)

// entries reads a list as a node does.
func entries(t testing.TB, ca *CA, text []byte) (number int64, serials []*big.Int) {
	t.Helper()
	der, err := decode(blockCRL, text)
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(ca.cert); err != nil {
		t.Error(err)
	}
	if !list.NextUpdate.Equal(ca.NotAfter()) {
		t.Errorf("the list ends on %s", list.NextUpdate)
	}
	for _, e := range list.RevokedCertificateEntries {
		serials = append(serials, e.SerialNumber)
	}
	return list.Number.Int64(), serials
}

func TestRevoke(t *testing.T) {
	ca := newCA(t)
	if ca.CRL() != nil {
		t.Error("a new ca has a list")
	}
	var all [][]byte
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		cert, _ := issue(t, ca, Request{Role: "peer", Name: name})
		all = append(all, cert)
	}
	steps := []struct {
		certs [][]byte
		want  int // on the list, the first ones of all
	}{{nil, 0}, {all[:1], 1}, {nil, 1}, {all[:1], 1}, {all, 3}, {all[1:], 3}}
	for i, step := range steps {
		text, err := ca.Revoke(step.certs...)
		if err != nil {
			t.Fatal(err)
		}
		number, serials := entries(t, ca, text)
		if number != int64(i+1) || len(serials) != step.want || string(text) != string(ca.CRL()) {
			t.Errorf("step %d: list %d, %d entries, want %d", i, number, len(serials), step.want)
		}
		for j, s := range serials {
			if s.Cmp(parse(t, all[j]).SerialNumber) != 0 {
				t.Errorf("step %d: entry %d is %d", i, j, s)
			}
		}
	}
}

func TestRevokeRefuses(t *testing.T) {
	ca, other := newCA(t), newCA(t)
	own, key := issue(t, ca, Request{Role: "peer", Name: "web-1"})
	foreign, _ := issue(t, other, Request{Role: "peer", Name: "web-1"})
	for name, text := range map[string][]byte{
		"nothing": nil, "no PEM": []byte("hello"), "a key": key, "two": append(own[:len(own):len(own)], own...),
		"another ca's": foreign, "the ca's own": ca.Cert(), "another ca": other.Cert(), "no certificate": encode(blockCert, []byte("x")),
		"another label": encode("TRUSTED CERTIFICATE", parse(t, own).Raw),
	} {
		if list, err := ca.Revoke(own, text); !errors.Is(err, release.ErrInvalid) || list != nil {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if ca.CRL() != nil {
		t.Error("something was revoked")
	}
}

// What openssl makes of it all, where it is installed.
func TestOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl is not installed: nothing was tried with it")
	}
	ca, dir := newCA(t), t.TempDir()
	good, _ := issue(t, ca, Request{Role: "seeder", Name: "seeder-1", Hosts: []string{"10.0.0.5", "seeder-1.example.org"}})
	gone, _ := issue(t, ca, Request{Role: "peer", Name: strings.Repeat("w", release.MaxHostLen)})
	list, err := ca.Revoke(gone)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"ca": ca.Cert(), "good": good, "gone": gone, "crl": list} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct{ args, want string }{
		{"verify -x509_strict -CAfile ca good", "good: OK"},
		{"verify -x509_strict -CAfile ca gone", "gone: OK"},
		{"verify -x509_strict -crl_check -CRLfile crl -CAfile ca -purpose sslserver -verify_ip 10.0.0.5 good", "good: OK"},
		{"verify -x509_strict -crl_check -CRLfile crl -CAfile ca -purpose sslclient -verify_hostname seeder-1.example.org good", "good: OK"},
		{"verify -crl_check -CRLfile crl -CAfile ca gone", "certificate revoked"},
		{"crl -in crl -noout -crlnumber -CAfile ca", "verify OK"},
		{"x509 -in good -noout -subject", "O = crows, OU = seeder, CN = seeder-1"},
	}
	for _, tt := range tests {
		cmd := exec.Command(openssl, strings.Fields(tt.args)...)
		cmd.Dir = dir
		out, _ := cmd.CombinedOutput() // its words say more than its exit code
		// Newer versions write subjects without spaces.
		if got := strings.ReplaceAll(string(out), "=", " = "); !strings.Contains(string(out), tt.want) && !strings.Contains(got, tt.want) {
			t.Errorf("openssl %s: %s want %q", tt.args, out, tt.want)
		}
	}
}

// Whatever is to be revoked: it is a certificate of this CA, or nothing is.
func FuzzRevoke(f *testing.F) {
	ca := newCA(f)
	own, key := issue(f, ca, Request{Role: "peer", Name: "web-1"})
	for _, text := range [][]byte{own, key, ca.Cert(), []byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n")} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		serial, err := ca.serialOf(text)
		if err != nil && (!errors.Is(err, release.ErrInvalid) || serial != nil) || err == nil && serial.Cmp(parse(t, own).SerialNumber) != 0 {
			t.Errorf("%q: serial %v, error %v", text, serial, err)
		}
	})
}
