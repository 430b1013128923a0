package main

import (
	"reflect"
	"testing"
	"time"

	"crow/internal/release"
	"crow/peer"
	"crow/seeder"
)

// TestContractConfigs decodes the documented configs, but for what comes with
// certificates.
func TestContractConfigs(t *testing.T) {
	s, err := decodeConfig([]byte(`
name: seeder-1
data_dir: /var/lib/crow
listen: 0.0.0.0:7400
advertise: 10.0.0.5
swarm_listen: 0.0.0.0:7401
gossip_listen: 0.0.0.0:7402
gossip_join: []
gossip_key_file: /etc/crow/gossip.key
tls: off
insecure: true
store: /var/lib/crow/store
trackers: []
limits: {upload: 200MiB/s}
`), seeder.DefaultConfig())
	if err != nil || s.Name != "seeder-1" || s.Limits.Upload != 200<<20 || !s.TLS.Off {
		t.Errorf("seeder: %+v, %v", s, err)
	}
	p, err := decodeConfig([]byte(`
name: web-1
data_dir: /var/lib/crow
advertise: 10.0.0.21
seeders: ["http://10.0.0.5:7400"]
swarm_listen: 0.0.0.0:7401
gossip_listen: 0.0.0.0:7402
gossip_join: ["10.0.0.5:7402"]
gossip_key_file: /etc/crow/gossip.key
tls: off
insecure: true
metrics_listen: 127.0.0.1:7403
disk_margin: 1.5GiB
limits: {upload: 200MiB/s, download: 300MiB/s}
labels: {role: web, zone: a, rack: r12}
apps:
  web: {hook: [/usr/local/bin/deploy-web], hook_timeout: 5m, unpack: true, keep: 3}
  "*": {}
`), peer.DefaultConfig())
	web := p.Apps["web"]
	if err != nil || p.Limits.Download != 300<<20 || p.DiskMargin != release.Size(3<<29) || p.Labels["rack"] != "r12" || len(p.Apps) != 2 {
		t.Errorf("peer: %+v, %v", p, err)
	}
	if len(web.Hook) != 1 || web.HookTimeout != 5*time.Minute || !web.Unpack || web.Keep != 3 {
		t.Errorf("app: %+v", web)
	}
}

func TestConfigDefaultsStay(t *testing.T) {
	for _, doc := range []string{"", "# only words\n", "---\n", "name: x\n"} {
		c, err := decodeConfig([]byte(doc), seeder.DefaultConfig())
		if err != nil || c.Listen != seeder.DefaultConfig().Listen {
			t.Errorf("%q: %+v, %v", doc, c, err)
		}
	}
}

func TestMismatch(t *testing.T) {
	cases := []struct {
		token    string
		is, want any
		text     string
	}{
		{"[", []any{}, "", "this is a list, want a text"},
		{"{", map[string]any{}, []string{}, "this is keys with values, want a list of texts"},
		{"soon", "", time.Duration(0), `"soon" is a text, want a duration such as 30s`},
		{"3", uint64(0), release.Size(0), `"3" is a whole number, want a size such as 64MiB`},
		{"yes", "", false, `"yes" is a text, want true or false`},
		{"x", "", 0, `"x" is a text, want a whole number`},
		{"x", "", new(release.Rate), `"x" is a text, want a rate such as 200MiB/s`},
		{"x", "", release.Labels{}, `"x" is a text, want keys with values`},
	}
	for _, c := range cases {
		if got := mismatch(c.token, reflect.TypeOf(c.is), reflect.TypeOf(c.want)); got != c.text {
			t.Errorf("got %q, want %q", got, c.text)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, seed := range []string{"name: x", "limits: {upload: 1MiB/s}", "apps: {web: {hook: [a]}}", "a: &a [*a]", "{", "- x", "tls: {a: b}", "? !!"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		if _, err := decodeConfig([]byte(doc), peer.DefaultConfig()); err != nil {
			text, _ := explainYAML(err, nil)
			if oneLine(text) == "" {
				t.Errorf("an error without words: %v", err)
			}
			guiltyKey([]byte(doc), peer.DefaultConfig())
		}
	})
}
