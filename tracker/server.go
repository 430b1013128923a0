package tracker

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"crow/internal/control"
	"crow/internal/httpserve"
	"crow/internal/release"
	"crow/internal/transport"
)

// ServerConfig is the config file of a tracker that runs alone. Keys are as in
// the yaml tags.
type ServerConfig struct {
	Name          string        `yaml:"name"`   // in the fleet; unique
	Listen        string        `yaml:"listen"` // host:port of announce, scrape and registration
	TLS           transport.TLS `yaml:"tls"`
	Insecure      bool          `yaml:"insecure"`       // allow no TLS off loopback
	MaxNeighbours int           `yaml:"max_neighbours"` // hosts in one answer
	MinInterval   time.Duration `yaml:"min_interval"`   // between a downloader's announces while few hosts download
	MaxInterval   time.Duration `yaml:"max_interval"`   // between announces however many hosts there are
}

// DefaultServerConfig returns the values of keys that a config file leaves out.
func DefaultServerConfig() ServerConfig {
	c := DefaultConfig()
	return ServerConfig{
		Name: "tracker", Listen: "127.0.0.1:7404",
		MaxNeighbours: c.MaxNeighbours, MinInterval: c.MinInterval, MaxInterval: c.MaxInterval,
	}
}

// Validate checks every field and names the first bad one by its key.
func (c ServerConfig) Validate() error {
	if err := release.ValidateHost(c.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if err := c.TLS.Validate(); err != nil {
		return err
	}
	if err := (transport.Security{Insecure: c.Insecure || !c.TLS.Off}).Check(c.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	return c.tracker(nil).Validate()
}

func (c ServerConfig) tracker(log *zap.Logger) Config {
	t := DefaultConfig()
	t.MaxNeighbours, t.MinInterval, t.MaxInterval, t.Log = c.MaxNeighbours, c.MinInterval, c.MaxInterval, log
	return t
}

// Server is a tracker that runs alone. It learns its torrents from seeders,
// by Registrar.
type Server struct {
	cfg     ServerConfig
	safe    transport.Security
	log     *zap.Logger
	tracker *Tracker
	leases  *leases
	http    *httpserve.Server
}

// NewServer validates the config and binds the address.
func NewServer(cfg ServerConfig, log *zap.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = zap.NewNop()
	}
	safe, err := transport.Open(cfg.TLS, cfg.Insecure, log)
	if err == nil && safe.On() && safe.Identity().Role != transport.RoleTracker {
		err = fmt.Errorf("tls: %w certificate %s: its role is %s, want %s", release.ErrInvalid, cfg.TLS.Cert, safe.Identity().Role, transport.RoleTracker)
	}
	if err != nil {
		return nil, err
	}
	t, err := New(cfg.tracker(log))
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, safe: safe, log: log, tracker: t, leases: newLeases(t)}
	mux := http.NewServeMux()
	mux.Handle(PathAnnounce, t.Handler())
	mux.Handle(PathScrape, t.Handler())
	mux.HandleFunc("PUT "+PathTorrents, s.register)
	s.http, err = httpserve.New(httpserve.Config{Listen: cfg.Listen, Handler: control.Guard(mux), Security: safe, Log: log})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Addr is the address that was bound.
func (s *Server) Addr() netip.AddrPort { return s.http.Addr() }

// Close unbinds a server that will not be run. Run closes by itself.
func (s *Server) Close() error { return s.http.Close() }

// Run serves until ctx ends or serving fails.
func (s *Server) Run(ctx context.Context) error {
	if !s.safe.On() {
		s.log.Warn("tls is off") // whoever reaches the tracker is told who is in a swarm
	}
	s.log.Info("tracker started", zap.String("name", s.cfg.Name), zap.Stringer("addr", s.Addr()),
		zap.Int("max_neighbours", s.cfg.MaxNeighbours), zap.Uint64("seed", s.tracker.cfg.Seed))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.tracker.Run(ctx) })
	g.Go(func() error { return s.leases.run(ctx) })
	g.Go(func() error { return s.http.Run(ctx) })
	g.Go(func() error { return s.safe.WatchExpiry(ctx, s.log) })
	return g.Wait()
}
