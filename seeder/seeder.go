// Package seeder is the seeder daemon: it keeps artifacts and releases, offers
// them to the swarm, orders them to hosts, and tells how deploys go.
//
// It owns the control API's server, the catalog of releases, the registry of
// hosts and the deploys. Announces belong to package tracker, bytes on the wire
// to internal/swarm, membership to internal/gossip, files to internal/store,
// digests and torrents to seeder/build, who goes live when to seeder/rollout; it
// runs them all in one process. DESIGN.md tells why it is built round one ledger.
package seeder

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/httpserve"
	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/swarm"
	"crow/internal/transport"
	"crow/seeder/audit"
	"crow/tracker"
)

// Options are what a seeder gets besides its config.
type Options struct {
	Version string      // crow's own
	Log     *zap.Logger // nil: no log
}

// Seeder is the daemon. Its listeners are bound from New on; Run answers.
type Seeder struct {
	cfg     Config
	safe    transport.Security
	log     *zap.Logger
	version string
	pace    pace

	dir     *store.Dir
	audit   *audit.Log
	ledger  *ledger
	offers  *offers
	swarm   *swarm.Swarm
	gossip  *gossip.Gossip
	tracker *tracker.Tracker
	server  *httpserve.Server
	http    *http.Client // to trackers elsewhere
}

// auditFile is the audit log's name in the store.
const auditFile = "audit.jsonl"

// New checks the config, opens the store, reads the books and binds all
// listeners. After an error nothing is left open. Run must follow: it gives
// everything back.
func New(cfg Config, o Options) (*Seeder, error) { return newSeeder(cfg, o, defaultPace()) }

func newSeeder(cfg Config, o Options, p pace) (*Seeder, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	safe, err := openSecurity(cfg, o.Log)
	if err != nil {
		return nil, err
	}
	s := &Seeder{cfg: cfg, safe: safe, log: o.Log, version: o.Version, pace: p, http: safe.HTTPClient(transport.RoleTracker)}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.undo())
	}
	return s, nil
}

// openSecurity reads the certificates, and finds one that is not a seeder's
// before the whole fleet does.
func openSecurity(cfg Config, log *zap.Logger) (transport.Security, error) {
	safe, err := transport.Open(cfg.TLS, cfg.Insecure, log)
	if err == nil && safe.On() && safe.Identity().Role != transport.RoleSeeder {
		err = fmt.Errorf("tls: %w certificate %s: its role is %s, want %s", release.ErrInvalid, cfg.TLS.Cert, safe.Identity().Role, transport.RoleSeeder)
	}
	return safe, err
}

// open makes the parts in the order in which they need each other.
func (s *Seeder) open() (err error) {
	if s.dir, err = store.Open(s.cfg.storeDir(), s.log); err != nil {
		return err
	}
	if s.audit, err = audit.Open(filepath.Join(s.cfg.storeDir(), auditFile)); err != nil {
		return err
	}
	if s.swarm, err = swarm.New(s.swarmConfig()); err != nil {
		return err
	}
	e := s.newEnv()
	if e.gossip, err = gossip.ReadKeys(s.cfg.GossipKeyFile); err != nil {
		return err
	}
	books, err := openBooks(e, s.swarm.Sent)
	if err != nil {
		return err
	}
	books.uplink.use(s.cfg.Limits.Upload, s.swarm.SetLimits)
	s.ledger = newLedger(books)
	if err := s.openGossip(books.keyring); err != nil {
		return err
	}
	if s.tracker, err = tracker.New(s.trackerConfig()); err != nil {
		return err
	}
	return s.openServer(books.env)
}

func (s *Seeder) newEnv() *env {
	var epoch [8]byte
	rand.Read(epoch[:]) // never fails (crypto/rand)
	return &env{dir: s.dir, audit: s.audit, log: s.log, pace: s.pace, epoch: hex.EncodeToString(epoch[:]), started: time.Now()}
}

func (s *Seeder) swarmConfig() swarm.Config {
	return swarm.Config{
		Role: swarm.RoleSeeder, Listen: s.cfg.SwarmListen, Advertise: s.cfg.Advertise, Standard: s.cfg.SwarmStandard,
		Upload: s.cfg.Limits.Upload, Security: s.safe, Log: s.log,
		Dropped: func(infohash release.Digest) { s.offers.replaced(infohash) }, // not before Run, which offers
	}
}

// trackerConfig has the tracker believe what hosts announce as their address:
// it is what their config advertises, and need not be what they dial from.
func (s *Seeder) trackerConfig() tracker.Config {
	c := tracker.DefaultConfig()
	c.TrustIP, c.Log = true, s.log
	return c
}

func (s *Seeder) openGossip(k *keyring) (err error) {
	s.gossip, err = gossip.New(gossip.Config{
		Name: s.cfg.Name, Listen: s.cfg.GossipListen, Advertise: s.cfg.Advertise, Join: s.cfg.GossipJoin,
		Tags: gossip.Tags(gossip.RoleSeeder, s.swarm.Addr().Port(), nil), Keys: k.last, Log: s.log,
	})
	if err == nil {
		k.use = s.gossip.SetKeys
	}
	return err
}

// openServer binds the address of the control API, which the tracker and the
// origin share. What hosts are told to announce to is known only then.
func (s *Seeder) openServer(e *env) error {
	external, err := s.registrar()
	if err != nil {
		return err
	}
	s.offers = newOffers(s.ledger, s.dir, s.swarm, s.tracker, external, s.log)
	a := &api{
		ledger: s.ledger, dir: s.dir, uploads: newUploads(s.ledger, s.offers, s.dir, s.log), offers: s.offers,
		metrics: newMetrics(s.ledger, s.safe.Expires), env: e, log: s.log, epoch: e.epoch, hold: s.pace.hold(),
		await: s.swarm.AwaitUpload,
	}
	mux := a.routes()
	mux.Handle(tracker.PathAnnounce, s.tracker.Handler())
	mux.Handle(tracker.PathScrape, s.tracker.Handler())
	s.server, err = httpserve.New(httpserve.Config{
		Listen: s.cfg.Listen, Handler: control.Guard(mux), Security: s.safe, Log: s.log,
	})
	if err != nil {
		return err
	}
	a.trackers = s.announceURLs()
	s.swarm.SetTrackers(a.trackers)
	return nil
}

func (s *Seeder) registrar() (*tracker.Registrar, error) {
	if len(s.cfg.Trackers) == 0 {
		return nil, nil
	}
	r, err := tracker.NewRegistrar(s.cfg.Trackers, s.http)
	if err != nil {
		return nil, fmt.Errorf("trackers: %w", err)
	}
	return r, nil
}

func (s *Seeder) announceURLs() []string {
	if len(s.cfg.Trackers) > 0 {
		return s.cfg.Trackers
	}
	ip, _ := netip.ParseAddr(s.cfg.Advertise) // checked by Validate
	return []string{s.safe.Scheme() + "://" + netip.AddrPortFrom(ip, s.Addr().Port()).String() + tracker.PathAnnounce}
}

// undo gives back what open got before it failed.
func (s *Seeder) undo() error {
	var errs []error
	if s.gossip != nil {
		errs = append(errs, s.gossip.Close())
	}
	if s.swarm != nil {
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		errs = append(errs, s.swarm.Run(ended))
	}
	if s.audit != nil {
		errs = append(errs, s.audit.Close())
	}
	if s.dir != nil {
		errs = append(errs, s.dir.Close())
	}
	return errors.Join(errs...)
}

// Addr is the bound address of the control API.
func (s *Seeder) Addr() netip.AddrPort { return s.server.Addr() }

// SwarmAddr is where the swarm reaches the seeder.
func (s *Seeder) SwarmAddr() netip.AddrPort { return s.swarm.Addr() }

// GossipAddr is where the fleet's gossip reaches the seeder.
func (s *Seeder) GossipAddr() netip.AddrPort { return s.gossip.Addr() }

// Run serves until ctx ends or a part of the seeder fails. When it returns
// nothing runs or is open any more, and all that was acknowledged is on disk.
func (s *Seeder) Run(ctx context.Context) error {
	s.log.Info("seeder started", zap.String("version", s.version), zap.Stringer("listen", s.Addr()),
		zap.Stringer("swarm", s.SwarmAddr()), zap.Stringer("gossip", s.GossipAddr()), zap.String("store", s.cfg.storeDir()))
	if !s.safe.On() {
		s.log.Warn("tls is off") // whoever reaches the control API can deploy
	}
	// The ledger outlives those who ask it: their last requests end by its
	// answers.
	books, closeBooks := context.WithCancel(context.WithoutCancel(ctx))
	defer closeBooks()
	closed := make(chan error, 1)
	go func() { closed <- s.ledger.run(books) }()
	err := s.runParts(ctx)
	closeBooks()
	s.http.CloseIdleConnections()
	err = errors.Join(err, <-closed, s.audit.Close(), s.dir.Close())
	s.log.Info("seeder stopped")
	return err
}

func (s *Seeder) runParts(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return s.server.Run(ctx) })
	g.Go(func() error { return s.tracker.Run(ctx) })
	g.Go(func() error { return s.swarm.Run(ctx) })
	g.Go(func() error { return s.gossip.Run(ctx) })
	g.Go(func() error { return s.listen(ctx) })
	g.Go(func() error { return s.safe.WatchExpiry(ctx, s.log) })
	g.Go(func() error { return s.offers.run(ctx, s.ledger.books.stir, s.pace.renew, s.wake) })
	return g.Wait()
}

// wake has hosts ask for their orders. Those that wait in a poll have them
// already; it is for the others.
func (s *Seeder) wake() {
	if err := s.gossip.Wake(); err != nil && !errors.Is(err, gossip.ErrEnded) {
		s.log.Warn("fleet not woken", zap.Error(err))
	}
}
