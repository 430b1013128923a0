package seeder

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"path/filepath"

	"crow/internal/release"
	"crow/internal/transport"
)

// Config is the seeder's config file. Keys are as in the yaml tags.
type Config struct {
	Name          string        `yaml:"name"`            // in the fleet; unique
	DataDir       string        `yaml:"data_dir"`        // absolute path; all that the seeder keeps
	Listen        string        `yaml:"listen"`          // host:port of the control API, tracker and origin
	Advertise     string        `yaml:"advertise"`       // IP that the fleet reaches the seeder at
	SwarmListen   string        `yaml:"swarm_listen"`    // host:port of the peer wire
	GossipListen  string        `yaml:"gossip_listen"`   // host:port of serf, TCP and UDP
	GossipJoin    []string      `yaml:"gossip_join"`     // host:port of other members; a first seeder needs none
	GossipKeyFile string        `yaml:"gossip_key_file"` // path; empty: gossip is in the clear
	TLS           transport.TLS `yaml:"tls"`
	Insecure      bool          `yaml:"insecure"`       // allow no TLS and no gossip key off loopback
	Store         string        `yaml:"store"`          // path of the artifact store; default: store in DataDir
	Trackers      []string      `yaml:"trackers"`       // announce URLs; none: the seeder's own
	Limits        Limits        `yaml:"limits"`         // of the swarm
	SwarmStandard bool          `yaml:"swarm_standard"` // 16 KiB requests, so that other clients can join
}

// Limits bound what the seeder's swarm sends.
type Limits struct {
	Upload release.Rate `yaml:"upload"` // bytes a second; 0: no limit
}

// DefaultConfig returns the values of keys that a config file leaves out.
func DefaultConfig() Config {
	return Config{
		Name: "seeder", DataDir: "/var/lib/crow",
		Listen: "127.0.0.1:7400", Advertise: "127.0.0.1", SwarmListen: "127.0.0.1:7401", GossipListen: "127.0.0.1:7402",
	}
}

// Validate checks every field and names the first bad one by its key.
func (c Config) Validate() error {
	if err := release.ValidateHost(c.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if !filepath.IsAbs(c.DataDir) || c.Store != "" && !filepath.IsAbs(c.Store) {
		return fmt.Errorf("data_dir and store: %w: want absolute paths", release.ErrInvalid)
	}
	ip, err := netip.ParseAddr(c.Advertise)
	if err != nil || ip.IsUnspecified() {
		return fmt.Errorf("advertise: %w address %q: want an IP that the fleet can reach", release.ErrInvalid, c.Advertise)
	}
	if err := c.TLS.Validate(); err != nil {
		return err
	}
	for _, a := range []struct{ key, addr string }{
		{"listen", c.Listen}, {"swarm_listen", c.SwarmListen}, {"gossip_listen", c.GossipListen},
	} {
		if err := c.bindings().Check(a.addr); err != nil {
			return fmt.Errorf("%s: %w", a.key, err)
		}
		if ip.IsLoopback() && !onLoopback(a.addr) {
			return fmt.Errorf("advertise: %w address %s: only this machine reaches it, and %s is %s for others to reach",
				release.ErrInvalid, ip, a.key, a.addr)
		}
	}
	if err := release.ValidateLimit(c.Limits.Upload); err != nil {
		return fmt.Errorf("limits: upload: %w", err)
	}
	return cmp.Or(c.validateGossip(), c.validateTrackers())
}

// onLoopback reports whether only this machine can reach a host and port.
func onLoopback(addr string) bool { return transport.Security{}.Check(addr) == nil }

// bindings says which addresses the config may bind, before its files are read.
func (c Config) bindings() transport.Security {
	return transport.Security{Insecure: c.Insecure || !c.TLS.Off}
}

// validateGossip wants a key off loopback: without one anybody there is a member.
func (c Config) validateGossip() error {
	if c.GossipKeyFile != "" || c.Insecure || onLoopback(c.GossipListen) {
		return nil
	}
	return fmt.Errorf("gossip_key_file: missing or %w: gossip on %s is in the clear, which needs insecure: true", release.ErrInvalid, c.GossipListen)
}

// validateTrackers wants URLs that are protected as the config says.
func (c Config) validateTrackers() error {
	scheme := "https"
	if c.TLS.Off {
		scheme = "http"
	}
	for _, t := range c.Trackers {
		if u, err := url.Parse(t); err != nil || u.Scheme != scheme {
			return fmt.Errorf("trackers: %w announce URL %.80q: want %s://HOST:PORT/announce, as tls is", release.ErrInvalid, t, scheme)
		}
	}
	return nil
}

func (c Config) storeDir() string {
	if c.Store != "" {
		return c.Store
	}
	return filepath.Join(c.DataDir, "store")
}
