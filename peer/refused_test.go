package peer

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/signing"
	"crow/internal/transport"
)

// sealed signs an order's manifest.
func sealed(t *testing.T, o control.Order, keys ...signing.PrivateKey) control.Order {
	t.Helper()
	o.Signatures = signed(t, o.Manifest.Encode, keys...)
	return o
}

// TestNothingIsFetchedBeforeTrust looks at what a refused order leaves: no
// question to anybody, no byte, no file.
func TestNothingIsFetchedBeforeTrust(t *testing.T) {
	keys := signers(t, 2)
	tests := []struct {
		name  string
		order func(t *testing.T, o control.Order) control.Order
		rec   record
		want  string
	}{
		{"not signed", func(_ *testing.T, o control.Order) control.Order { return o }, record{}, "manifest of web@2"},
		{"by a stranger", func(t *testing.T, o control.Order) control.Order { return sealed(t, o, keys[1]) }, record{}, "manifest of web@2"},
		{"expired", func(t *testing.T, o control.Order) control.Order {
			o.Manifest.Expires = time.Unix(1_600_000_000, 0)
			return sealed(t, o, keys[0])
		}, record{}, "expired"},
		{"older", func(t *testing.T, o control.Order) control.Order { return sealed(t, o, keys[0]) }, record{Accepted: 9}, "older"},
		{"of a counter that another one had", func(t *testing.T, o control.Order) control.Order { return sealed(t, o, keys[0]) },
			record{Accepted: counterOf("2"), AcceptedSHA256: release.Digest{1}}, "same counter"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			r.cfg.Trust = trustOf(1, keys[0])
			g := r.goods("build")
			s, closeStore := r.openState()
			if err := s.putApp("web", tt.rec); err != nil {
				t.Fatal(err)
			}
			closeStore()
			a := r.start()
			r.office.give(tt.order(t, g.order("d-1", "web", "2")))
			got := r.office.await(t, "d-1", release.Failed)
			if !got.Refused || !strings.HasPrefix(got.Reason, "order: refused") || !strings.Contains(got.Reason, tt.want) {
				t.Errorf("refused: %t, reason %q, want %q", got.Refused, got.Reason, tt.want)
			}
			r.untouched(a, g)
		})
	}
}

// untouched holds that nothing of the goods was asked for, or is here.
func (r *rig) untouched(a *agentUnderTest, g goods) {
	r.t.Helper()
	r.office.mu.Lock()
	asked := r.office.asked
	r.office.mu.Unlock()
	if n := a.copier.fetchCount(g.manifest.InfoHash); asked > 0 || n > 0 {
		r.t.Errorf("%d calls for torrents, %d fetches", asked, n)
	}
	if left := names(r.t, r.path("cache")); len(left) > 0 || exists(r.path("apps/web/2")) {
		r.t.Errorf("left in the cache: %q", left)
	}
}

// TestRepairIsTrusted has an artifact that is live be lost, and its order come
// without the signatures that it had.
func TestRepairIsTrusted(t *testing.T) {
	r := newRig(t)
	core, logs := observer.New(zap.WarnLevel)
	r.log = zap.New(core)
	key := signers(t, 1)[0]
	r.cfg.Trust = trustOf(1, key)
	g := r.goods(big("cached", 2))
	cached := r.path("cache", g.manifest.SHA256.String())
	order := g.order("d-1", "web", "1")
	a := r.start()
	lose := func() {
		corrupt(t, cached)
		a.copier.Drop(g.manifest.InfoHash)
		a.dropped(g.manifest.InfoHash)
	}
	r.office.give(sealed(t, order, key))
	r.office.await(t, "d-1", release.Active)
	lose()
	eventually(t, "it is mended", func() bool { return a.copier.isOffered(g.manifest.InfoHash) && exists(cached) })

	order.Deploy = "d-2" // of what is live: there is nothing to do
	r.office.give(order)
	r.office.await(t, "d-2", release.Active)
	fetches := a.copier.fetchCount(g.manifest.InfoHash)
	lose()
	eventually(t, "the repair has ended", func() bool { return logs.FilterMessageSnippet("could not fetch the live release's artifact").Len() > 0 })
	if n := a.copier.fetchCount(g.manifest.InfoHash); n != fetches || exists(cached) {
		t.Errorf("%d fetches more for an order that nobody vouches for", n-fetches)
	}
}

// TestUnreadableRecordRefusesOrders spoils what a host knows of what it has
// accepted. It must not begin anew by itself, with each older release.
func TestUnreadableRecordRefusesOrders(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(path string) error
	}{
		{"half", func(path string) error { return os.WriteFile(path, []byte(`{"accepted":`), 0o600) }},
		{"empty", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"another form", func(path string) error { return os.WriteFile(path, []byte(`{"accepted":"9"}`), 0o600) }},
		{"a folder", func(path string) error { return os.Mkdir(path, 0o700) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			r.live(App{}, r.goods("one"))
			path := r.path("state/docs/app/web")
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := tt.spoil(path); err != nil {
				t.Fatal(err)
			}
			before := r.read("state/docs/app/web")
			older := r.goods("older")
			a := r.start()
			for _, deploy := range []string{"d-2", "d-3"} {
				r.office.give(older.order(deploy, "web", "0"))
				if got := r.office.await(t, deploy, release.Failed); !got.Refused || !strings.Contains(got.Reason, "remove that file") || !strings.Contains(got.Reason, path) {
					t.Errorf("refused: %t, reason %q", got.Refused, got.Reason)
				}
			}
			if r.read("state/docs/app/web") != before || r.current("web") != "1" || a.copier.fetchCount(older.manifest.InfoHash) > 0 {
				t.Error("the record was written over, or the order was followed")
			}
			if err := os.Remove(path); err != nil { // as the reason says
				t.Fatal(err)
			}
			r.office.give(older.order("d-4", "web", "0"))
			r.office.await(t, "d-4", release.Active)
		})
	}
}

// TestTrustIsWanted has a config without keys, and one thing in it that others
// reach, or that others answer at.
func TestTrustIsWanted(t *testing.T) {
	tests := []struct {
		want  string // the key that is off loopback; empty: no keys are wanted
		spoil func(*Config)
	}{
		{"", func(*Config) {}},
		{"", func(c *Config) { c.Seeders = []string{"https://[::1]:7400", "https://localhost:7400"} }},
		{"", func(c *Config) { c.MetricsListen = "127.0.0.2:7403" }},
		{"advertise", func(c *Config) { c.Advertise = "10.0.0.21" }},
		{"seeders", func(c *Config) { c.Seeders = []string{"https://10.0.0.5:7400"} }},
		{"seeders", func(c *Config) { c.Seeders = append(c.Seeders, "https://seeder-1:7400") }},
		{"advertise", func(c *Config) { c.SwarmListen, c.Advertise = "0.0.0.0:7401", "10.0.0.21" }},
		{"metrics_listen", func(c *Config) { c.MetricsListen = ":7403" }},
		{"", func(c *Config) { c.Seeders, c.Insecure = []string{"https://10.0.0.5:7400"}, true }},
		{"", func(c *Config) { c.Seeders, c.Trust = []string{"https://10.0.0.5:7400"}, trustOf(1, signers(t, 1)...) }},
	}
	for _, tt := range tests {
		c := quietConfig(t.TempDir(), "https://127.0.0.1:7400")
		c.TLS, c.GossipKeyFile = transport.TLS{CA: "/ca.crt", Cert: "/host.crt", Key: "/host.key"}, "/gossip.key"
		tt.spoil(&c)
		err := c.Validate()
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), "trust: ") || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("error is %v, want one for %q", err, tt.want)
		}
	}
	c := Config{Advertise: "127.0.0.1", SwarmListen: "127.0.0.1:1", GossipListen: "0.0.0.0:1"}
	if got := c.offLoopback(); got != "gossip_listen" {
		t.Errorf("off loopback is %q", got)
	}
	c.SwarmListen = "0.0.0.0:1"
	if got := c.offLoopback(); got != "swarm_listen" {
		t.Errorf("off loopback is %q", got)
	}
}

// TestNoTrustIsSaidAloud looks for it in the log.
func TestNoTrustIsSaidAloud(t *testing.T) {
	for _, trust := range []signing.Trust{{}, trustOf(1, signers(t, 1)...)} {
		r := newRig(t)
		core, logs := observer.New(zap.WarnLevel)
		r.log, r.cfg.Trust = zap.New(core), trust
		a := r.start()
		r.office.until(t, "poll", func() bool { return r.office.polls > 0 })
		a.stop(t)
		if n := logs.FilterMessageSnippet("releases need no signature").Len(); n != map[bool]int{true: 1, false: 0}[trust.IsZero()] {
			t.Errorf("trust %v: said %d times", trust, n)
		}
	}
}
