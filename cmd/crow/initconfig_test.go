package main

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"crow/internal/signing"
	"crow/internal/transport"
	"crow/peer"
	"crow/seeder"
)

// rendered is a config file of a new fleet with its seeder at the address.
func rendered(t *testing.T, name, address string) string {
	t.Helper()
	at, err := seederAddressOf([]string{address})
	if err != nil {
		t.Fatal(err)
	}
	key, err := signing.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	text, err := wordsOf(`/home/a "b"/fleet`, "prod", at, key.Public().String()).render(name)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// asWritten reads a daemon's config as the daemon does.
func asWritten[C interface{ Validate() error }](t *testing.T, name, address string, defaults C) C {
	t.Helper()
	c, err := readConfig(rendered(t, name, address), defaults)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		t.Errorf("%s with the seeder at %s: %v", name, address, err)
	}
	return c
}

func TestExampleConfigsAreValid(t *testing.T) {
	for _, address := range []string{"10.0.0.5", "10.0.0.5:7500", "fd00::5", "127.0.0.1", "[::1]:7400"} {
		s := asWritten(t, seederConfig, address, seeder.DefaultConfig())
		p := asWritten(t, peerConfig, address, peer.DefaultConfig())
		if s.TLS.Off || s.Insecure || s.GossipKeyFile == "" {
			t.Errorf("%s: the seeder goes without protection: %+v", address, s)
		}
		if p.TLS.Off || p.Insecure || p.GossipKeyFile == "" || p.Trust.Validate() != nil {
			t.Errorf("%s: the host goes without protection: %+v", address, p)
		}
	}
}

func TestOperatorConfig(t *testing.T) {
	c, err := readClientConfig(rendered(t, operatorConfig, "10.0.0.5"))
	if err != nil {
		t.Fatal(err)
	}
	want := clientConfig{
		Seeder: "https://10.0.0.5:7400", SignKeys: []string{`/home/a "b"/fleet/signing.key`},
		TLS: transport.TLS{
			CA: `/home/a "b"/fleet/ca/ca.crt`, CRL: `/home/a "b"/fleet/ca/crl.pem`,
			Cert: `/home/a "b"/fleet/operator.crt`, Key: `/home/a "b"/fleet/operator.key`,
		},
	}
	if c.Trust.Validate() != nil {
		t.Errorf("trust is %+v", c.Trust)
	}
	if c.Trust = want.Trust; !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// TestExamplesExplainEveryKey holds that whoever edits an example sees all there
// is to set.
func TestExamplesExplainEveryKey(t *testing.T) {
	for name, config := range map[string]reflect.Type{
		seederConfig: reflect.TypeFor[seeder.Config](), peerConfig: reflect.TypeFor[peer.Config](),
	} {
		text, err := os.ReadFile(rendered(t, name, "10.0.0.5"))
		if err != nil {
			t.Fatal(err)
		}
		keys := yamlKeys(config, "")
		if len(keys) < 15 {
			t.Fatalf("%s: only %d keys found", name, len(keys))
		}
		for _, key := range keys {
			if key.name != "-" && !regexp.MustCompile(`(?m)^ *`+key.name+`:.*  # .`).Match(text) {
				t.Errorf("%s: no key %s with a comment", name, key.path)
			}
		}
	}
}
