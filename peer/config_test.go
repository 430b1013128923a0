package peer

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
)

func TestValidateNamesTheKey(t *testing.T) {
	tests := []struct {
		want  string // the error's beginning; empty: valid
		spoil func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Apps = nil }},
		{"name: ", func(c *Config) { c.Name = "web 1" }},
		{"data_dir: ", func(c *Config) { c.DataDir = "crow" }},
		{"disk_margin: ", func(c *Config) { c.DiskMargin = -1 }},
		{"advertise: ", func(c *Config) { c.Advertise = "0.0.0.0" }},
		{"advertise: ", func(c *Config) { c.Advertise = "web-1" }},
		{"tls: ", func(c *Config) { c.TLS.Off = false }},
		{"seeders: ", func(c *Config) { c.Seeders = nil }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"10.0.0.5:7400"} }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"https://127.0.0.1:7400"} }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"http://127.0.0.1:99999"} }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"http://127.0.0.1:1", "http://10.0.0.5:7400"} }},
		{"", func(c *Config) { c.Seeders, c.Insecure = []string{"http://10.0.0.5", "http://[::1]:7400"}, true }},
		{"swarm_listen: ", func(c *Config) { c.SwarmListen = "0.0.0.0:1" }},
		{"", func(c *Config) { c.SwarmListen, c.Insecure, c.Advertise = "0.0.0.0:1", true, "10.0.0.21" }},
		{"advertise: ", func(c *Config) { c.SwarmListen, c.Insecure = "0.0.0.0:1", true }},
		{"advertise: ", func(c *Config) { c.GossipListen, c.Insecure, c.Advertise = ":1", true, "::ffff:127.0.0.1" }},
		{"swarm_listen: ", func(c *Config) { c.SwarmListen = "localhost:99999" }},
		{"gossip_join: ", func(c *Config) { c.GossipJoin = []string{"127.0.0.1:1", "10.0.0.5"} }},
		{"gossip_join: ", func(c *Config) { c.GossipJoin = make([]string, 1000) }},
		{"gossip_listen: ", func(c *Config) { c.GossipListen = "" }},
		{"metrics_listen: ", func(c *Config) { c.MetricsListen = "10.0.0.1:1" }},
		{"labels: ", func(c *Config) { c.Labels = release.Labels{"a b": ""} }},
		{"labels.a: ", func(c *Config) { c.Labels = release.Labels{"a": strings.Repeat("x", maxLabelLen+1)} }},
		{"labels: ", func(c *Config) { c.Labels = many(control.MaxLabels+1, "v") }},
		{"apps: ", func(c *Config) { c.Apps = map[string]App{"../x": {}} }},
		{"apps.web.hook: ", func(c *Config) { c.Apps = map[string]App{"web": {Hook: []string{"deploy.sh"}}} }},
		{"apps.web.hook_timeout: ", func(c *Config) { c.Apps = map[string]App{"web": {HookTimeout: -1}} }},
		{"apps.web.hook_timeout: ", func(c *Config) { c.Apps = map[string]App{"web": {HookTimeout: time.Hour}} }},
		{"", func(c *Config) { c.Apps = map[string]App{"web": {HookTimeout: time.Hour - 1}} }},
		{"apps: ", func(c *Config) { c.Apps = many(control.MaxApps+1, App{}) }},
		{"apps.web.keep: ", func(c *Config) { c.Apps = map[string]App{"web": {Keep: -1}} }},
	}
	for _, test := range tests {
		c := quietConfig(t.TempDir(), "http://127.0.0.1:7400")
		test.spoil(&c)
		err := c.Validate()
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("error is %v, want one that begins with %q", err, test.want)
		}
		if err != nil && !errors.Is(err, release.ErrInvalid) && !errors.Is(err, transport.ErrInsecure) {
			t.Errorf("%v is no error of the config", err)
		}
	}
}

func many[V any](n int, v V) map[string]V {
	m := map[string]V{}
	for i := range n {
		m[fmt.Sprint("k", i)] = v
	}
	return m
}

func TestAppLookup(t *testing.T) {
	c := Config{Apps: map[string]App{"web": {Keep: 7, HookTimeout: time.Second}}}
	if _, ok := c.app("db"); ok {
		t.Error("an app that nobody named was found")
	}
	c.Apps["*"] = App{Unpack: true}
	if a, ok := c.app("db"); !ok || !a.Unpack || a.Keep != DefaultKeep {
		t.Errorf("by *: %+v, %v", a, ok)
	}
	if a, ok := c.app("web"); !ok || a.Unpack || a.Keep != 7 || a.HookTimeout != time.Second {
		t.Errorf("by name: %+v, %v", a, ok)
	}
}

func TestDefaultsLackOnlyWhatTheyMust(t *testing.T) {
	c := DefaultConfig()
	c.Name, c.Seeders, c.TLS.Off = "web-1", []string{"http://127.0.0.1:7400"}, true
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}
