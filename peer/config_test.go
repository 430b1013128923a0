package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
	"crow/peer/hook"
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
		{"seeders: ", func(c *Config) { c.Seeders = []string{"http://127.0.0.1:7400/crow"} }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"http://127.0.0.1:7400?x=y"} }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"http://127.0.0.1:7400?"} }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"http://127.0.0.1:7400#x"} }},
		{"seeders: ", func(c *Config) { c.Seeders = []string{"http://me:secret@127.0.0.1:7400"} }},
		{"", func(c *Config) { c.Seeders = []string{"http://127.0.0.1:7400/"} }},
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
		{"labels.name: ", func(c *Config) { c.Labels = release.Labels{"name": "x"} }},
		{"labels: ", func(c *Config) { c.Labels = many(control.MaxLabels+1, "v") }},
		{"apps: ", func(c *Config) { c.Apps = map[string]App{"../x": {}} }},
		{"disk_budget: ", func(c *Config) { c.DiskBudget = -1 }},
		{"apps.web.hook: ", func(c *Config) { c.Apps = map[string]App{"web": {Hook: []string{"deploy.sh"}}} }},
		{"apps.web.hook_timeout: ", func(c *Config) { c.Apps = map[string]App{"web": {HookTimeout: -1}} }},
		{"apps.web.hook_timeout: ", func(c *Config) { c.Apps = map[string]App{"web": {HookTimeout: time.Hour}} }},
		{"", func(c *Config) { c.Apps = map[string]App{"web": {HookTimeout: time.Hour - 1}} }},
		{"apps: ", func(c *Config) { c.Apps = many(control.MaxApps+1, App{}) }},
		{"data_dir: ", func(c *Config) { c.DataDir = "/var/lib\ncrow" }},
		{"apps.web.hook: ", func(c *Config) { c.Apps = map[string]App{"web": {Hook: []string{"/bin/x", "a\x00b"}}} }},
		{"apps.web.check: ", func(c *Config) { c.Apps = map[string]App{"web": {Check: []string{"curl"}}} }},
		{"apps.web.check_timeout: ", func(c *Config) { c.Apps = map[string]App{"web": {CheckTimeout: -1}} }},
		{"apps.web.check_timeout: ", func(c *Config) {
			c.Apps = map[string]App{"web": {CheckTimeout: 30 * time.Minute, HookTimeout: 30 * time.Minute}}
		}},
		{"apps.web.check_timeout: ", func(c *Config) { // of what is left out the default counts
			c.Apps = map[string]App{"web": {Check: []string{"/bin/x"}, HookTimeout: time.Hour - time.Second}}
		}},
		{"apps.web.check_interval: ", func(c *Config) { c.Apps = map[string]App{"web": {CheckInterval: -1}} }},
		{"", func(c *Config) { c.Apps = map[string]App{"web": {Hook: []string{"/bin/sh", "-c", "a\nb"}}} }},
		{"apps.web.limits.user: ", func(c *Config) { c.Apps = map[string]App{"web": {Limits: hook.Limits{User: "a:b"}}} }},
		{"apps.web.limits.nice: ", func(c *Config) { c.Apps = map[string]App{"web": {Limits: hook.Limits{Nice: 20}}} }},
		{"apps.*.limits.memory: ", func(c *Config) { c.Apps = map[string]App{"*": {Limits: hook.Limits{Memory: 1}}} }},
		{"apps.web.limits.processes: ", func(c *Config) { c.Apps = map[string]App{"web": {Limits: hook.Limits{Processes: -1}}} }},
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

func TestKeepIsAWholeNumber(t *testing.T) {
	for text, want := range map[string]Count{
		"2": 2, "0": 0, "2.9": -1, "-1": -1, "1e3": -1, "true": -1, "abc": -1, "99999999999999999999": -1,
	} {
		c := quietConfig(t.TempDir(), "http://127.0.0.1:7400")
		err := yaml.Unmarshal([]byte("apps: {web: {keep: "+text+"}}"), &c)
		switch {
		case want >= 0 && (err != nil || c.Apps["web"].Keep != want):
			t.Errorf("%s: %d, %v", text, c.Apps["web"].Keep, err)
		case want < 0 && (err == nil || !strings.Contains(err.Error(), "want a whole one")):
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestDataDirThatIsAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below/it")} {
		r := newRig(t)
		r.cfg.DataDir = dir
		_, err := r.open()
		if !errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), "data_dir: ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("error is %v", err)
		}
	}
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
