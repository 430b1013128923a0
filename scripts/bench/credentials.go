package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"crow/internal/pki"
	"crow/internal/signing"
	"crow/internal/transport"
)

// operatorName is whose certificate pushes, and asks the seeder how it goes.
const operatorName = "operator"

// credentials protect the fleet of one run: a CA, a gossip key and a signing key
// that are made for it, in a folder that goes with it. Nil is a fleet where all is
// in the clear and anything runs.
type credentials struct {
	dir    string
	ca     *pki.CA
	signer signing.PublicKey
}

// newCredentials makes the folder and in it all but the daemons' certificates.
func newCredentials(dir string) (*credentials, error) {
	c := &credentials{dir: dir}
	var err error
	if c.ca, err = pki.NewCA("bench", time.Now()); err != nil {
		return nil, err
	}
	if err := c.ca.Save(dir); err != nil {
		return nil, err
	}
	if _, err := c.ca.Revoke(); err != nil { // nobody, but nodes are to look
		return nil, err
	}
	key, err := signing.GenerateKey()
	if err != nil {
		return nil, err
	}
	c.signer = key.Public()
	gossip := make([]byte, 32) // AES-256
	if _, err := rand.Read(gossip); err != nil {
		return nil, err
	}
	operator := fmt.Sprintf("tls: %s\nsign_keys: [%q]\n", c.tlsValue(operatorName), c.path("signing.key"))
	return c, errors.Join(
		os.WriteFile(c.path("signing.key"), key.File(), pki.KeyMode),
		os.WriteFile(c.path("gossip.key"), []byte(base64.StdEncoding.EncodeToString(gossip)+"\n"), pki.KeyMode),
		os.WriteFile(c.path("operator.yaml"), []byte(operator), pki.CertMode),
		c.issue(pki.Request{Role: string(transport.RoleOperator), Name: operatorName}),
	)
}

func (c *credentials) path(file string) string { return filepath.Join(c.dir, file) }

// issue makes a certificate and its key, as files.
func (c *credentials) issue(r pki.Request) error {
	cert, key, err := c.ca.Issue(r)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(c.path(r.Name+".key"), key, pki.KeyMode), os.WriteFile(c.path(r.Name+".crt"), cert, pki.CertMode))
}

func (c *credentials) tls(name string) transport.TLS {
	return transport.TLS{CA: c.path(pki.CertFile), Cert: c.path(name + ".crt"), Key: c.path(name + ".key"), CRL: c.path(pki.CRLFile)}
}

// tlsValue is tls as configs have it.
func (c *credentials) tlsValue(name string) string {
	t := c.tls(name)
	return fmt.Sprintf("{ca: %q, cert: %q, key: %q, crl: %q}", t.CA, t.Cert, t.Key, t.CRL)
}

// config makes a daemon's certificate and returns what its config says of
// protection.
func (c *credentials) config(role transport.Role, name, ip string) (string, error) {
	if c == nil {
		return "tls: off\ninsecure: true\n", nil
	}
	text := fmt.Sprintf("tls: %s\ngossip_key_file: %q\n", c.tlsValue(name), c.path("gossip.key"))
	if role == transport.RolePeer {
		text += fmt.Sprintf("trust: {keys: [%q]}\n", c.signer)
	}
	return text, c.issue(pki.Request{Role: string(role), Name: name, Hosts: []string{ip}})
}

// seederURL is where the control API is.
func (c *credentials) seederURL() string {
	scheme := "https"
	if c == nil {
		scheme = "http"
	}
	return fmt.Sprintf("%s://%s:7400", scheme, address(0))
}

// flags are those of commands that call the seeder.
func (c *credentials) flags() []string {
	flags := []string{"--seeder", c.seederURL()}
	if c != nil {
		flags = append(flags, "--config", c.path("operator.yaml"))
	}
	return flags
}

// client calls the seeder from its own host.
func (c *credentials) client(n *network) (*http.Client, error) {
	if c == nil {
		return n.client(0), nil
	}
	safe, err := transport.Open(c.tls(operatorName), false, nil)
	if err != nil {
		return nil, err
	}
	return n.secureClient(0, safe), nil
}
