package main

import (
	"fmt"
	"os"
	"path/filepath"

	"crow/internal/pki"
	"crow/internal/release"
	"crow/internal/signing"
	"crow/internal/transport"
)

// demoTrust is who belongs to the demo's fleet and whose releases run there: a
// CA and keys that are made for it and go with it. Nil is everybody and anything,
// as crow demo --insecure has it.
type demoTrust struct{ founded }

func newDemoTrust(dir string) (*demoTrust, error) {
	keys := filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, folderMode); err != nil {
		return nil, err
	}
	f, err := found(keys, "demo", nil)
	if err != nil {
		return nil, err
	}
	return &demoTrust{f}, f.issue(pki.Request{Role: string(transport.RoleOperator), Name: operatorName})
}

// scheme is that of the seeder's URL.
func (t *demoTrust) scheme() string {
	if t == nil {
		return "http"
	}
	return "https"
}

// config makes the certificate of a daemon, and returns what its config says of
// whom it trusts.
func (t *demoTrust) config(role transport.Role, name, address string) (string, error) {
	if t == nil {
		return "tls: off\n", nil
	}
	if err := t.issue(pki.Request{Role: string(role), Name: name, Hosts: []string{address}}); err != nil {
		return "", err
	}
	f := tlsFiles(t.dir, name)
	text := fmt.Sprintf("tls: {ca: %q, cert: %q, key: %q, crl: %q}\ngossip_key_file: %q\n", f.CA, f.Cert, f.Key, f.CRL, filepath.Join(t.dir, gossipKeyFile))
	if role == transport.RolePeer {
		text += fmt.Sprintf("trust: {keys: [%q]}\n", t.key.Public())
	}
	return text, nil
}

// operator is the tls key of who deploys.
func (t *demoTrust) operator() transport.TLS {
	if t == nil {
		return transport.TLS{Off: true}
	}
	return tlsFiles(t.dir, operatorName)
}

func (t *demoTrust) signer() signer {
	if t == nil {
		return signer{}
	}
	return signer{keys: []signing.PrivateKey{t.key}}
}

// words tells what protects the fleet.
func (t *demoTrust) words() string {
	if t == nil {
		return "nothing is encrypted or signed"
	}
	return "TLS both ways with certificates of its own CA, a gossip key, and releases signed by key " + t.key.Public().ID()
}

// export writes the client config for the seeder at url, and returns the line
// that lets a shell's commands reach the fleet.
func (t *demoTrust) export(url string) (string, error) {
	if t == nil {
		return "export CROW_SEEDER=" + url, nil
	}
	w := configWords{Fleet: t.ca.Fleet(), SeederURL: url, PublicKey: t.key.Public().String(), SigningKey: filepath.Join(t.dir, signingKeyFile), Operator: t.operator()}
	text, err := w.render(operatorConfig)
	if err != nil {
		return "", err
	}
	path := filepath.Join(t.dir, operatorConfig)
	line := "export CROW_CONFIG=" + path
	if os.Getenv("CROW_SEEDER") != "" { // it goes before the config
		line = "unset CROW_SEEDER; " + line
	}
	return line, writeFiles(outFile{path, text, pki.CertMode})
}

// push is the push of a release to all hosts, signed if anything is.
func (t *demoTrust) push(ref release.Ref) pushing {
	selector := release.Selector{Targets: []release.Expr{"role=web"}}
	return pushing{rollout: rollout{ref: ref, selector: selector, signer: t.signer(), timeout: demoTimeout}}
}
