// Package peer is the agent on every host of a fleet: it takes orders from the
// seeder, fetches artifacts through the swarm, stages them, sets them live with
// the host's own deploy hook, reports, and keeps the last releases.
//
// It owns data_dir and what runs there: one loop (agent.go) owns the state of
// all apps, one job for each app does the work (job.go: fetch, staging,
// activate, retain), and others send the loop events: the poller (orders.go),
// gossip, the keeper of the cache (keeper.go). Moving pieces belongs to package
// swarm, unpacking to peer/stage, the running of a hook to peer/hook, and what
// host and seeder say to each other to package control.
package peer

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/httpserve"
	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/swarm"
	"crow/internal/transport"
)

// Options are what a peer is given besides its config file.
type Options struct {
	Version string // of this crow, for the seeder's list of hosts
	Log     *zap.Logger

	safe transport.Security // of the config's tls; opened by New
	anew string             // why an agent begins without what an earlier one had; empty: it does not
}

// node is this host's part in the swarm.
type node interface {
	transfer
	SetTrackers(announceURLs []string)
	SetLimits(upload, download release.Rate)
	Addr() netip.AddrPort
	Run(ctx context.Context) error
}

// Peer is one host's agent. New binds its listeners, Run does its work.
type Peer struct {
	log     *zap.Logger
	safe    transport.Security
	store   *store.Dir
	swarm   node
	gossip  *gossip.Gossip
	keyed   bool              // gossip has a key, by the config
	metrics *httpserve.Server // nil: no metrics_listen
	dropped *droplist
	local   *local
	lookout *lookout
	agent   *agent
	again   func() (*Peer, error) // makes another of the same config
}

// New checks the config, locks data_dir, reads what an earlier life left in it
// and binds all listeners. After an error nothing is left bound or locked.
// Run must be called to give them back.
func New(c Config, opts Options) (*Peer, error) {
	return open(c, opts, defaultTiming(), joinSwarm)
}

func joinSwarm(c swarm.Config) (node, error) {
	s, err := swarm.New(c)
	if err != nil {
		return nil, err // and not a nil *swarm.Swarm in an interface
	}
	return s, nil
}

func open(c Config, opts Options, t timing, join func(swarm.Config) (node, error)) (*Peer, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var err error
	if opts.safe, err = openSecurity(c, opts.Log); err != nil {
		return nil, err
	}
	p := &Peer{log: opts.Log, safe: opts.safe, keyed: c.GossipKeyFile != "", dropped: newDroplist()}
	p.again = func() (*Peer, error) {
		opts.anew = reasonLost
		return open(c, opts, t, join)
	}
	if err := p.bind(c, opts, t, join); err != nil {
		return nil, errors.Join(err, p.release())
	}
	return p, nil
}

// openSecurity reads the certificates, and finds one that is not this host's
// before the seeder does.
func openSecurity(c Config, log *zap.Logger) (transport.Security, error) {
	safe, err := transport.Open(c.TLS, c.Insecure, log)
	if err != nil || !safe.On() {
		return safe, err
	}
	switch id := safe.Identity(); {
	case id.Role != transport.RolePeer:
		err = fmt.Errorf("tls: %w certificate %s: its role is %s, want %s", release.ErrInvalid, c.TLS.Cert, id.Role, transport.RolePeer)
	case id.Name != c.Name:
		err = fmt.Errorf("name: %w host name %q: the certificate %s is that of %s", release.ErrInvalid, c.Name, c.TLS.Cert, id.Name)
	}
	return safe, err
}

func (p *Peer) bind(c Config, opts Options, t timing, join func(swarm.Config) (node, error)) (err error) {
	l := layout{c.DataDir}
	if err := l.make(); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if p.store, err = store.Open(l.state(), opts.Log); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if err := os.MkdirAll(l.hooks(), stateMode); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	if err := c.checkHooks(l); err != nil {
		return err
	}
	if p.swarm, err = join(swarmConfig(c, opts, p.dropped.add)); err != nil {
		return fmt.Errorf("swarm_listen: %w", err)
	}
	if p.gossip, err = newGossip(c, opts, p.swarm.Addr().Port(), state{docs: p.store, log: opts.Log}.orders()); err != nil {
		return err
	}
	m := newMetrics(opts.Version, opts.safe.Expires)
	if c.MetricsListen != "" {
		if p.metrics, err = m.serve(c, opts); err != nil {
			return fmt.Errorf("metrics_listen: %w", err)
		}
	}
	if p.agent, err = newAgent(c, opts, t, p, m); err != nil {
		return err
	}
	if p.lookout, err = newLookout(p.agent.host); err != nil {
		return fmt.Errorf("data_dir: %w", err)
	}
	p.local = newLocal(p.agent.host)
	return nil
}

func swarmConfig(c Config, opts Options, dropped func(release.Digest)) swarm.Config {
	return swarm.Config{
		Role: swarm.RolePeer, Listen: c.SwarmListen, Advertise: c.Advertise, Standard: c.SwarmStandard,
		Upload: c.Limits.Upload, Download: c.Limits.Download, Security: opts.safe, Log: opts.Log, Dropped: dropped,
	}
}

// setKeys changes the keys of gossip that has some.
func (p *Peer) setKeys(keys [][]byte) error {
	if !p.keyed {
		return nil
	}
	return p.gossip.SetKeys(keys)
}

func newGossip(c Config, opts Options, swarmPort uint16, last control.Orders) (*gossip.Gossip, error) {
	keys, err := gossip.ReadKeys(c.GossipKeyFile)
	if err != nil {
		return nil, err
	}
	g, err := gossip.New(gossip.Config{
		Name: c.Name, Listen: c.GossipListen, Advertise: c.Advertise, Join: c.GossipJoin,
		Tags: gossip.Tags(gossip.RolePeer, swarmPort, c.Labels), Keys: startKeys(keys, last), Log: opts.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("gossip_listen: %w", err)
	}
	return g, nil
}

// newAgent puts the loop and its helpers together.
func newAgent(c Config, opts Options, t timing, p *Peer, m *metrics) (*agent, error) {
	l := layout{c.DataDir}
	s := state{docs: p.store, log: opts.Log}
	records, err := s.apps(l)
	if err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}
	h := &host{cfg: c, layout: l, state: s, cache: newCache(l.cache(), s, p.swarm, opts.Log), disk: newDisk(l.root, c.DiskMargin, c.DiskBudget), timing: t, log: opts.Log}
	h.cgroup, h.asks = c.openCgroup(opts.Log), make(chan func(*agent))
	http := opts.safe.HTTPClient()
	for _, url := range c.Seeders {
		client, err := control.NewClient(url, http)
		if err != nil {
			return nil, fmt.Errorf("seeders: %w", err)
		}
		h.seeders = append(h.seeders, client)
	}
	a := &agent{
		host: h, boot: rand.Text(), slots: map[string]*slot{},
		helpers: helpers{swarm: p.swarm, members: p.gossip.Members, setKeys: p.setKeys, metrics: m, idle: http.CloseIdleConnections},
		events:  make(chan event), updates: make(chan update), lost: make(chan release.Digest), ground: ground{anew: opts.anew},
	}
	for app, rec := range records {
		a.slots[app] = &slot{rec: rec}
	}
	a.poller = &poller{
		host: c.Name, hello: hello(c, opts, a.boot, p.swarm.Addr().Port()), seeders: h.seeders, state: s, timing: t,
		log: opts.Log, updates: a.updates, woken: make(chan struct{}, 1), writing: make(chan struct{}, 1),
	}
	a.report = newReporter(t, opts.Log, a.poller.wake, h.disk.left)
	a.keeper = &keeper{cache: h.cache, disk: h.disk, log: opts.Log, wake: make(chan struct{}, 1), dropped: p.dropped, lost: a.lost, stall: t.stall}
	return a, nil
}

func hello(c Config, opts Options, boot string, swarmPort uint16) control.Hello {
	return control.Hello{
		Boot: boot, Address: c.Advertise, SwarmPort: swarmPort, Labels: c.Labels,
		Apps: slices.Sorted(maps.Keys(c.Apps)), Crow: opts.Version,
	}
}

// SwarmAddr is where neighbours reach this host's part of the swarm.
func (p *Peer) SwarmAddr() netip.AddrPort { return p.swarm.Addr() }

// GossipAddr is where the fleet reaches this host's gossip.
func (p *Peer) GossipAddr() netip.AddrPort { return p.gossip.Addr() }

// Run works until ctx ends or a listener breaks. When it returns, jobs have
// stopped, the fleet has been told goodbye and nothing is left running. It can
// be called once. A data_dir that is removed under it has it begin anew, as a
// restart would.
func (p *Peer) Run(ctx context.Context) error {
	for {
		err := p.live(ctx)
		if ctx.Err() != nil || !errors.Is(err, errRemoved) {
			return err
		}
		if p, err = p.again(); err != nil {
			return fmt.Errorf("begin anew, as data_dir was removed or replaced: %w", err)
		}
	}
}

// live is one life of the agent.
func (p *Peer) live(ctx context.Context) error {
	if !p.safe.On() {
		p.log.Warn("tls is off: whoever reaches this host's ports can speak to its agent")
	}
	if p.agent.cfg.Trust.IsZero() {
		p.log.Warn("no keys in trust: releases need no signature, and whoever gives this host orders runs programs on it")
	}
	p.tidy()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.swarm.Run(ctx) })
	g.Go(func() error { return p.gossip.Run(ctx) })
	g.Go(func() error { return p.safe.WatchExpiry(ctx, p.log) })
	g.Go(func() error { return p.local.run(ctx) })
	g.Go(func() error { return p.lookout.run(ctx) })
	if p.metrics != nil {
		g.Go(func() error { return p.metrics.Run(ctx) })
	}
	a := p.agent
	for _, loop := range []func(context.Context){a.poller.run, a.report.run, a.keeper.run} {
		g.Go(func() error {
			loop(ctx)
			return nil
		})
	}
	g.Go(func() error {
		a.run(ctx, p.gossip.Events())
		return nil
	})
	p.log.Info("peer is up", zap.String("host", a.cfg.Name), zap.Stringer("swarm", p.SwarmAddr()), zap.Stringer("gossip", p.GossipAddr()))
	err := g.Wait()
	a.idle()
	return errors.Join(err, p.store.Close())
}

// release gives back what was bound and locked, in place of Run.
func (p *Peer) release() error {
	var err error
	ended, end := context.WithCancel(context.Background())
	end()
	if p.swarm != nil {
		err = p.swarm.Run(ended)
	}
	if p.gossip != nil {
		err = errors.Join(err, p.gossip.Close())
	}
	if p.metrics != nil {
		err = errors.Join(err, p.metrics.Close())
	}
	if p.local != nil {
		err = errors.Join(err, p.local.close())
	}
	if p.store != nil {
		err = errors.Join(err, p.store.Close())
	}
	return err
}
