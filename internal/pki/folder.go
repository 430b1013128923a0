package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"crow/internal/release"
)

// The files of a CA's folder. The certificate and the list go to every node; the
// key stays.
const (
	CertFile = "ca.crt"
	KeyFile  = "ca.key"
	CRLFile  = "crl.pem"
)

// maxListLen bounds a file of the CA, in bytes: its list is what nodes still read,
// of some 100,000 certificates.
const maxListLen = 8 << 20

// Save writes the CA to a folder, which it makes if it is not there, and keeps
// its list there from then on. It never replaces another CA: if there is one, the
// error is fs.ErrExist.
func (ca *CA) Save(dir string) error {
	der, err := x509.MarshalPKCS8PrivateKey(ca.key)
	if err != nil {
		return fmt.Errorf("save ca: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("save ca: %w", err)
	}
	// The key first: it is what must not be replaced.
	key := filepath.Join(dir, KeyFile)
	if err := WriteNew(key, encode(blockKey, der), KeyMode); err != nil {
		return fmt.Errorf("save ca: %w", err)
	}
	if err := WriteNew(filepath.Join(dir, CertFile), ca.Cert(), CertMode); err != nil {
		return fmt.Errorf("save ca: %w", errors.Join(err, os.Remove(key)))
	}
	ca.dir = dir
	if ca.crl != nil {
		return ca.keepList(ca.crl)
	}
	return nil
}

// LoadCA reads the CA that Save wrote. The error is release.ErrInvalid for files
// of anything else, and for a key that is not the certificate's.
func LoadCA(dir string) (*CA, error) {
	ca := &CA{dir: dir}
	for _, read := range []func() error{ca.loadCert, ca.loadKey, ca.loadList} {
		if err := read(); err != nil {
			return nil, fmt.Errorf("load ca from %s: %w", dir, err)
		}
	}
	return ca, nil
}

func (ca *CA) loadCert() error {
	der, err := ca.read(CertFile, blockCert)
	if err != nil {
		return err
	}
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return fmt.Errorf("%w %s: %w", release.ErrInvalid, CertFile, err)
	}
	if !ca.cert.IsCA || len(ca.cert.Subject.Organization) != 1 {
		return fmt.Errorf("%w %s: it is not the certificate of a fleet's ca", release.ErrInvalid, CertFile)
	}
	return nil
}

func (ca *CA) loadKey() error {
	der, err := ca.read(KeyFile, blockKey)
	if err != nil {
		return err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return fmt.Errorf("%w %s: want a PKCS #8 key", release.ErrInvalid, KeyFile)
	}
	key, ok := parsed.(crypto.Signer)
	public, known := ca.cert.PublicKey.(*ecdsa.PublicKey)
	if !ok || !known || !public.Equal(key.Public()) {
		return fmt.Errorf("%w %s: it is not the key of %s", release.ErrInvalid, KeyFile, CertFile)
	}
	ca.key = key
	return nil
}

// loadList also checks who signed the list: one that someone else made would
// lose what was revoked.
func (ca *CA) loadList() error {
	der, err := ca.read(CRLFile, blockCRL)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	list, err := x509.ParseRevocationList(der)
	if err == nil {
		err = list.CheckSignatureFrom(ca.cert)
	}
	if err == nil && list.Number == nil {
		err = errors.New("it has no number")
	}
	if err != nil {
		return fmt.Errorf("%w %s: %w", release.ErrInvalid, CRLFile, err)
	}
	ca.crl = list
	return nil
}

func (ca *CA) keepList(list *x509.RevocationList) error {
	if err := Write(filepath.Join(ca.dir, CRLFile), encode(blockCRL, list.Raw), CertMode); err != nil {
		return fmt.Errorf("keep revocation list: %w", err)
	}
	return nil
}

// read reads one PEM block of a file of the CA's folder.
func (ca *CA) read(name, block string) ([]byte, error) {
	path := filepath.Join(ca.dir, name)
	if info, err := os.Stat(path); err == nil && info.Size() > maxListLen {
		return nil, fmt.Errorf("%w %s: %d bytes, at most %d are allowed", release.ErrInvalid, name, info.Size(), maxListLen)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	der, err := decode(block, text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return der, nil
}
