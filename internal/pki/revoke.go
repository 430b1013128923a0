package pki

import (
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"

	"crow/internal/release"
)

// Revoke adds certificates, each in PEM, to the list of those that no node
// accepts any more, and returns the whole list in PEM. What was on it stays;
// without certificates it is made anew. A CA that has a folder keeps the list
// there before Revoke returns. The error is release.ErrInvalid for a certificate
// that this CA did not issue, and then nothing is revoked.
func (ca *CA) Revoke(certs ...[]byte) ([]byte, error) {
	if ca.dir != "" { // where someone else may have revoked since
		if err := ca.loadList(); err != nil {
			return nil, fmt.Errorf("read revocation list: %w", err)
		}
	}
	entries, err := ca.entries(certs)
	if err != nil {
		return nil, fmt.Errorf("revoke certificate: %w", err)
	}
	list, err := ca.signList(entries)
	if err != nil {
		return nil, fmt.Errorf("make revocation list: %w", err)
	}
	if ca.dir != "" {
		if err := ca.keepList(list); err != nil {
			return nil, err
		}
	}
	ca.crl = list
	return ca.CRL(), nil
}

// entries are those that are on the list and the new ones, each once.
func (ca *CA) entries(certs [][]byte) ([]x509.RevocationListEntry, error) {
	var entries []x509.RevocationListEntry
	if ca.crl != nil {
		entries = slices.Clone(ca.crl.RevokedCertificateEntries)
	}
	for _, text := range certs {
		serial, err := ca.serialOf(text)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(entries, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(serial) == 0 }) {
			entries = append(entries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: ca.now()})
		}
	}
	return entries, nil
}

// signList makes the list that follows the present one. It holds until there is a
// newer one, for as long as the CA: no host stops working because nobody was
// there to renew it.
func (ca *CA) signList(entries []x509.RevocationListEntry) (*x509.RevocationList, error) {
	number := big.NewInt(1)
	if ca.crl != nil {
		number.Add(ca.crl.Number, number)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: number, RevokedCertificateEntries: entries, ThisUpdate: ca.now().Add(-backdate), NextUpdate: ca.cert.NotAfter,
	}, ca.cert, ca.key)
	if err != nil {
		return nil, err
	}
	if n := len(encode(blockCRL, der)); n > maxListLen {
		return nil, fmt.Errorf("%w list: %d bytes, nodes read %d", release.ErrInvalid, n, maxListLen)
	}
	return x509.ParseRevocationList(der)
}

// CRL is the list of revoked certificates in PEM; nil if none ever was.
func (ca *CA) CRL() []byte {
	if ca.crl == nil {
		return nil
	}
	return encode(blockCRL, ca.crl.Raw)
}

// serialOf reads a certificate of this CA.
func (ca *CA) serialOf(text []byte) (*big.Int, error) {
	der, err := decode(blockCert, text)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%w certificate: %w", release.ErrInvalid, err)
	}
	if err := cert.CheckSignatureFrom(ca.cert); err != nil {
		return nil, fmt.Errorf("%w certificate: this ca did not issue that of %q: %w", release.ErrInvalid, cert.Subject.CommonName, err)
	}
	if cert.IsCA {
		return nil, fmt.Errorf("%w certificate: it is the ca's own", release.ErrInvalid)
	}
	return cert.SerialNumber, nil
}
