package e2e

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crow/internal/pki"
	"crow/internal/signing"
	"crow/internal/transport"
)

// credentials are a fleet's own: its CA, gossip key and signing key. Without
// them, nil, a fleet is all in the clear.
type credentials struct {
	t      *testing.T
	dir    string
	ca     *pki.CA
	signer signing.PrivateKey
}

func newCredentials(t *testing.T, name string) *credentials {
	t.Helper()
	c := &credentials{t: t, dir: t.TempDir()}
	var err error
	if c.ca, err = pki.NewCA(name, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := c.ca.Save(c.dir); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ca.Revoke(); err != nil { // the list of nobody
		t.Fatal(err)
	}
	if c.signer, err = signing.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	write(t, c.path("signing.key"), string(c.signer.File()), 0o600)
	write(t, c.path("signing.pub"), string(c.signer.Public().File()), 0o644)
	key := make([]byte, 32)
	rand.Read(key)
	write(t, c.path("gossip.key"), base64.StdEncoding.EncodeToString(key)+"\n", 0o600)
	return c
}

func (c *credentials) path(file string) string { return filepath.Join(c.dir, file) }

// issue makes a certificate and returns the config's tls value.
func (c *credentials) issue(r pki.Request) string {
	c.t.Helper()
	cert, key, err := c.ca.Issue(r)
	if err != nil {
		c.t.Fatal(err)
	}
	write(c.t, c.path(r.Name+".crt"), string(cert), 0o644)
	write(c.t, c.path(r.Name+".key"), string(key), 0o600)
	return c.tls(r.Name)
}

// tls is the config's tls value for a certificate that was issued.
func (c *credentials) tls(name string) string {
	return fmt.Sprintf("{ca: %s, cert: %s, key: %s, crl: %s}", c.path(pki.CertFile), c.path(name+".crt"), c.path(name+".key"), c.path(pki.CRLFile))
}

// operator writes the config of a client of the fleet's seeder.
func (c *credentials) operator(seederURL string) (config string) {
	c.t.Helper()
	return c.clientConfigOf(seederURL, c.issue(pki.Request{Role: "operator", Name: "ann"}))
}

// clientConfig is operator with the certificate of that name.
func (c *credentials) clientConfig(seederURL, name string) string {
	return c.clientConfigOf(seederURL, c.tls(name))
}

func (c *credentials) clientConfigOf(seederURL, tls string) (config string) {
	c.t.Helper()
	tls, _, _ = strings.Cut(tls, ", crl:") // whom the seeder refuses is to learn it from the seeder
	tls = strings.TrimSuffix(tls, "}") + "}"
	config = filepath.Join(c.t.TempDir(), "operator.yaml")
	write(c.t, config, fmt.Sprintf("seeder: %s\ntls: %s\nsign_keys: [%s]\n", seederURL, tls, c.path("signing.key")), 0o600)
	return config
}

// daemonLines are the lines of a daemon's config about TLS and gossip.
func (c *credentials) daemonLines(role, name, ip string) string {
	if c == nil {
		return "tls: off\n"
	}
	return fmt.Sprintf("tls: %s\ngossip_key_file: %s\n", c.issue(pki.Request{Role: role, Name: name, Hosts: []string{ip}}), c.path("gossip.key"))
}

// trustLine is the line of a peer's config about who must have signed.
func (c *credentials) trustLine(other string) string {
	switch {
	case c == nil:
		return ""
	case other != "":
		return "trust: " + other + "\n"
	}
	return fmt.Sprintf("trust: {keys: [%q]}\n", c.signer.Public().String())
}

func (c *credentials) scheme() string {
	if c == nil {
		return "http"
	}
	return "https"
}

// client calls the fleet's daemons as its operator.
func (f *fleet) client() *http.Client {
	f.t.Helper()
	c := f.own
	safe, err := transport.Open(transport.TLS{CA: c.path(pki.CertFile), Cert: c.path("ann.crt"), Key: c.path("ann.key")}, false, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	client := safe.HTTPClient(transport.RoleSeeder, transport.RoleTracker, transport.RolePeer)
	f.t.Cleanup(client.CloseIdleConnections)
	return client
}
