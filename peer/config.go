package peer

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/release"
	"crow/internal/signing"
	"crow/internal/transport"
)

// Defaults of keys that a config file leaves out.
const (
	DefaultKeep                    = 3
	DefaultDiskMargin release.Size = 64 << 20 // room for logs and state to go on being written
)

// anyApp is the key in Config.Apps that stands for every app without one.
const anyApp = "*"

// nameLabel is what target expressions have for a host's name; a label of that
// name could not be asked for.
const nameLabel = "name"

// maxLabelLen bounds a label's value, in bytes: labels travel in gossip.
const maxLabelLen = 256

// Config is the peer's config file. Keys are as in the yaml tags.
type Config struct {
	Name          string         `yaml:"name"`            // of this host; unique in the fleet
	DataDir       string         `yaml:"data_dir"`        // absolute path; cache, staged releases and state
	Advertise     string         `yaml:"advertise"`       // IP that neighbours reach this host at
	Seeders       []string       `yaml:"seeders"`         // URLs, tried in turn
	SwarmListen   string         `yaml:"swarm_listen"`    // host:port of the peer wire
	GossipListen  string         `yaml:"gossip_listen"`   // host:port of serf, TCP and UDP
	GossipJoin    []string       `yaml:"gossip_join"`     // host:port of members to join by
	GossipKeyFile string         `yaml:"gossip_key_file"` // path; empty: gossip is in the clear
	TLS           transport.TLS  `yaml:"tls"`
	Trust         signing.Trust  `yaml:"trust"`          // who must have signed what runs here; none: anything runs
	Insecure      bool           `yaml:"insecure"`       // allow no TLS, no gossip key and no trusted keys off loopback
	MetricsListen string         `yaml:"metrics_listen"` // host:port of /metrics and /healthz; empty: none
	SwarmStandard bool           `yaml:"swarm_standard"` // 16 KiB requests, so that other clients can join
	Limits        Limits         `yaml:"limits"`         // of the swarm
	DiskMargin    release.Size   `yaml:"disk_margin"`    // bytes that a fetch leaves free
	DiskBudget    release.Size   `yaml:"disk_budget"`    // bytes that data_dir may take in all; 0: what there is
	Labels        release.Labels `yaml:"labels"`
	Apps          map[string]App `yaml:"apps"` // by app; "*" is every app that is not named
}

// Limits bound what the peer's swarm sends and receives.
type Limits struct {
	Upload   release.Rate `yaml:"upload"`   // bytes a second; 0: no limit
	Download release.Rate `yaml:"download"` // bytes a second; 0: no limit
}

// Count is a number of things, from a config file. A plain int would cut off
// what stands behind a decimal point.
type Count int

// UnmarshalText reads a whole number.
func (n *Count) UnmarshalText(b []byte) error {
	v, err := strconv.ParseUint(string(b), 10, 31)
	if err != nil {
		return fmt.Errorf("%w number %q: want a whole one, from 0 up", release.ErrInvalid, b)
	}
	*n = Count(v)
	return nil
}

// DefaultConfig returns the values of keys that a config file leaves out.
func DefaultConfig() Config {
	return Config{
		DataDir: "/var/lib/crow", Advertise: "127.0.0.1",
		SwarmListen: "127.0.0.1:7401", GossipListen: "127.0.0.1:7402",
		DiskMargin: DefaultDiskMargin,
	}
}

// Validate checks every field and names the first bad one by its key. The error
// is release.ErrInvalid or transport.ErrInsecure.
func (c Config) Validate() error {
	if err := release.ValidateHost(c.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if !filepath.IsAbs(c.DataDir) {
		return fmt.Errorf("data_dir: %w path %q: want an absolute one", release.ErrInvalid, c.DataDir)
	}
	if strings.ContainsFunc(c.DataDir, unicode.IsControl) { // hooks get it in their environment
		return fmt.Errorf("data_dir: %w path %q: it holds a control character", release.ErrInvalid, c.DataDir)
	}
	if c.DiskMargin < 0 {
		return fmt.Errorf("disk_margin: %w size %d: it is negative", release.ErrInvalid, c.DiskMargin)
	}
	if c.DiskBudget < 0 {
		return fmt.Errorf("disk_budget: %w size %d: it is negative", release.ErrInvalid, c.DiskBudget)
	}
	return first(c.TLS.Validate, c.validateListen, c.validateAdvertise, c.validateSeeders, c.validateJoin, c.validateLimits, c.validateLabels, c.validateApps, c.validateTrust)
}

// first returns the first error that a check finds.
func first(checks ...func() error) error {
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// listener is an address of the config that is bound.
type listener struct{ key, addr string }

// listeners are those that the config asks for.
func (c Config) listeners() []listener {
	all := []listener{{"swarm_listen", c.SwarmListen}, {"gossip_listen", c.GossipListen}}
	if c.MetricsListen != "" {
		all = append(all, listener{"metrics_listen", c.MetricsListen})
	}
	return all
}

func (c Config) validateListen() error {
	for _, l := range c.listeners() {
		if err := c.bindings().Check(l.addr); err != nil {
			return fmt.Errorf("%s: %w", l.key, err)
		}
	}
	return nil
}

// validateAdvertise also finds an advertise that was left out where the fleet is
// on other machines: each of them would take loopback for itself.
func (c Config) validateAdvertise() error {
	ip, err := netip.ParseAddr(c.Advertise)
	if err != nil || ip.IsUnspecified() {
		return fmt.Errorf("advertise: %w address %q: want an IP that the fleet can reach", release.ErrInvalid, c.Advertise)
	}
	for _, l := range []struct{ key, addr string }{{"swarm_listen", c.SwarmListen}, {"gossip_listen", c.GossipListen}} {
		host, _, err := net.SplitHostPort(l.addr)
		if err == nil && ip.Unmap().IsLoopback() && !transport.IsLoopback(host) {
			return fmt.Errorf("advertise: %w address %s: %s is %s, so the fleet needs an IP that it can reach this host at",
				release.ErrInvalid, ip, l.key, l.addr)
		}
	}
	return nil
}

func (c Config) validateSeeders() error {
	if len(c.Seeders) == 0 {
		return fmt.Errorf("seeders: missing or %w: want the URL of a seeder or more", release.ErrInvalid)
	}
	for _, s := range c.Seeders {
		if _, err := control.NewClient(s, nil); err != nil {
			return fmt.Errorf("seeders: %w", err)
		}
		u, err := url.Parse(s)
		if err != nil || u.Scheme != c.scheme() {
			return fmt.Errorf("seeders: %w seeder URL %q: want %s://HOST:PORT, as tls is", release.ErrInvalid, s, c.scheme())
		}
		if *u != (url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}) || u.Path != "" && u.Path != "/" {
			return fmt.Errorf("seeders: %w seeder URL %q: want %s://HOST:PORT and nothing behind it or before the host", release.ErrInvalid, s, c.scheme())
		}
		if err := c.bindings().Check(net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), "80"))); err != nil {
			return fmt.Errorf("seeders: %w", err)
		}
	}
	return nil
}

func (c Config) validateJoin() error {
	if err := gossip.ValidateJoin(c.GossipJoin); err != nil {
		return fmt.Errorf("gossip_join: %w", err)
	}
	if host, _, err := net.SplitHostPort(c.GossipListen); err == nil && c.GossipKeyFile == "" && !c.Insecure && !transport.IsLoopback(host) {
		return fmt.Errorf("gossip_key_file: missing or %w: gossip on %s is in the clear, which needs insecure: true", release.ErrInvalid, c.GossipListen)
	}
	return nil
}

func (c Config) validateLimits() error {
	if err := release.ValidateLimit(c.Limits.Upload); err != nil {
		return fmt.Errorf("limits: upload: %w", err)
	}
	if err := release.ValidateLimit(c.Limits.Download); err != nil {
		return fmt.Errorf("limits: download: %w", err)
	}
	return nil
}

func (c Config) validateLabels() error {
	if len(c.Labels) > control.MaxLabels {
		return fmt.Errorf("labels: %w list: %d of them, at most %d are allowed", release.ErrInvalid, len(c.Labels), control.MaxLabels)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Labels)) {
		if err := release.ValidateLabel(key); err != nil {
			return fmt.Errorf("labels: %w", err)
		}
		if key == nameLabel {
			return fmt.Errorf("labels.%s: %w label: in a target %s is the host's name, which the key name sets", key, release.ErrInvalid, key)
		}
		if n := len(c.Labels[key]); n > maxLabelLen {
			return fmt.Errorf("labels.%s: %w value: %d bytes, at most %d are allowed", key, release.ErrInvalid, n, maxLabelLen)
		}
	}
	return nil
}

func (c Config) validateApps() error {
	if len(c.Apps) > control.MaxApps {
		return fmt.Errorf("apps: %w list: %d of them, at most %d are allowed", release.ErrInvalid, len(c.Apps), control.MaxApps)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Apps)) {
		if err := release.ValidateApp(name); err != nil && name != anyApp {
			return fmt.Errorf("apps: %w", err)
		}
		if err := c.Apps[name].validate(); err != nil {
			return fmt.Errorf("apps.%s.%w", name, err)
		}
	}
	return nil
}

// bindings says which addresses the config may bind and call, before its files
// are read.
func (c Config) bindings() transport.Security {
	return transport.Security{Insecure: c.Insecure || !c.TLS.Off}
}

// scheme is that of the seeders' URLs.
func (c Config) scheme() string {
	if c.TLS.Off {
		return "http"
	}
	return "https"
}
