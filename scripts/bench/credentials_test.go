package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crow/internal/signing"
	"crow/internal/transport"
)

func TestVariants(t *testing.T) {
	for name, want := range map[string]variant{
		nameCrow: {apps: 1}, nameCrowTLS: {tls: true, apps: 1}, nameUneven: {slow: true, apps: 1}, nameLate: {late: true, apps: 1}, nameApps: {apps: 3},
	} {
		if got := variantOf(name, 3); got != want {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

func testCredentials(t *testing.T) *credentials {
	t.Helper()
	c, err := newCredentials(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A daemon's config protects all of it or, without credentials, nothing.
func TestProtection(t *testing.T) {
	own := testCredentials(t)
	for _, test := range []struct {
		name  string
		own   *credentials
		role  transport.Role
		want  []string
		never []string
		url   string
		flags string
	}{
		{"a peer in the clear", nil, transport.RolePeer, []string{"tls: off\n", "insecure: true\n"}, []string{"trust:", "gossip_key_file:"},
			"http://10.77.0.1:7400", "--seeder http://10.77.0.1:7400"},
		{"a peer", own, transport.RolePeer, []string{"/host.crt", "/crl.pem", "gossip_key_file: ", `trust: {keys: ["` + own.signer.String()}, []string{"tls: off", "insecure:"},
			"https://10.77.0.1:7400", "--seeder https://10.77.0.1:7400 --config " + own.path("operator.yaml")},
		{"a seeder", own, transport.RoleSeeder, []string{"/host.crt", "gossip_key_file: "}, []string{"tls: off", "insecure:", "trust:"},
			"https://10.77.0.1:7400", "--seeder https://10.77.0.1:7400 --config " + own.path("operator.yaml")},
	} {
		got, err := test.own.config(test.role, "host", "10.77.0.2")
		if err != nil {
			t.Fatal(err)
		}
		for _, words := range test.want {
			if !strings.Contains(got, words) {
				t.Errorf("%s lacks %q: %s", test.name, words, got)
			}
		}
		for _, words := range test.never {
			if strings.Contains(got, words) {
				t.Errorf("%s has %q: %s", test.name, words, got)
			}
		}
		if flags := strings.Join(test.own.flags(), " "); test.own.seederURL() != test.url || flags != test.flags {
			t.Errorf("%s: %s by %s", test.name, test.own.seederURL(), flags)
		}
	}
}

// The files are good for who they are made for, and nobody else can read keys.
func TestCredentialFiles(t *testing.T) {
	c := testCredentials(t)
	if _, err := c.config(transport.RolePeer, "host-1", "10.77.0.2"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]transport.Role{operatorName: transport.RoleOperator, "host-1": transport.RolePeer} {
		s, err := transport.Open(c.tls(name), false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if id := s.Identity(); id.Role != want || id.Name != name {
			t.Errorf("%+v", id)
		} else if may := id.MayBe(netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("10.77.0.9")); may != (want == transport.RolePeer) {
			t.Errorf("%s may announce the host's address: %t", name, may)
		}
	}
	text, err := os.ReadFile(c.path("signing.key"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := signing.ParsePrivateKey(text, nil); err != nil || key.Public() != c.signer {
		t.Errorf("hosts would not trust who signs: %v", err)
	}
	for _, file := range []string{"signing.key", "gossip.key", "host-1.key", "operator.key"} {
		if info, err := os.Stat(c.path(file)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
}
