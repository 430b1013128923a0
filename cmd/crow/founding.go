package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"time"

	"crow/internal/pki"
	"crow/internal/signing"
	"crow/internal/transport"
)

// Files of the folder that a fleet is founded in.
const (
	caFolder       = "ca"
	gossipKeyFile  = "gossip.key"
	signingKeyFile = "signing.key"
	certSuffix     = ".crt"
	keySuffix      = ".key"
)

// Config files of a new fleet; templates has them by these names.
const (
	seederConfig   = "seeder.yaml"
	peerConfig     = "peer.yaml"
	operatorConfig = "operator.yaml"
)

// Names of a new fleet's first certificates, and so of their files.
const (
	seederName   = "seeder"
	operatorName = "operator"
)

// gossipKeyLen is that of an AES-256 key, in bytes.
const gossipKeyLen = 32

// founded is a new fleet: who decides what belongs to it, and what runs there.
type founded struct {
	dir string
	ca  *pki.CA
	key signing.PrivateKey
}

// found makes a fleet's CA, with an empty list of what it revoked, its gossip key
// and its signing key, which the passphrase keeps; nil: nothing does.
func found(dir, fleet string, passphrase []byte) (founded, error) {
	f := founded{dir: dir}
	var err error
	if f.ca, err = pki.NewCA(fleet, time.Now()); err != nil {
		return f, err
	}
	if err := f.ca.Save(filepath.Join(dir, caFolder)); err != nil {
		return f, err
	}
	if _, err := f.ca.Revoke(); err != nil {
		return f, err
	}
	gossip := make([]byte, gossipKeyLen)
	if _, err := rand.Read(gossip); err != nil {
		return f, fmt.Errorf("make gossip key: %w", err)
	}
	key, secret, err := newSigningKey(passphrase)
	if err != nil {
		return f, err
	}
	f.key = key
	path := filepath.Join(dir, signingKeyFile)
	return f, writeFiles(
		outFile{filepath.Join(dir, gossipKeyFile), []byte(base64.StdEncoding.EncodeToString(gossip) + "\n"), pki.KeyMode},
		outFile{path, secret, pki.KeyMode},
		outFile{publicPath(path), key.Public().File(), pki.CertMode},
	)
}

// issue makes the certificate and key that r asks for, as files in the fleet's
// folder.
func (f founded) issue(r pki.Request) error {
	cert, key, err := f.ca.Issue(r)
	if err != nil {
		return err
	}
	return writeFiles(pairFiles(f.dir, r.Name, cert, key)...)
}

// pairFiles are those of a certificate: the key first, so that no certificate is
// ever seen that has none.
func pairFiles(dir, name string, cert, key []byte) []outFile {
	base := filepath.Join(dir, name)
	return []outFile{{base + keySuffix, key, pki.KeyMode}, {base + certSuffix, cert, pki.CertMode}}
}

// tlsFiles are what the tls key of a config names, in the folder of a fleet.
func tlsFiles(dir, name string) transport.TLS {
	ca, base := filepath.Join(dir, caFolder), filepath.Join(dir, name)
	return transport.TLS{
		CA: filepath.Join(ca, pki.CertFile), CRL: filepath.Join(ca, pki.CRLFile),
		Cert: base + certSuffix, Key: base + keySuffix,
	}
}
