// Package tracker tells the hosts of a swarm of each other: BitTorrent announce
// and scrape over HTTP (BEP 3, 7, 23, 48).
//
// It owns who is in which swarm and whom each host gets as neighbours. It runs
// inside the seeder or alone (Server). Which torrents exist is told to it by
// the seeder; it carries no bytes of theirs and keeps nothing on disk, since
// every host announces itself again soon. DESIGN.md tells why it chooses as it
// does.
package tracker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
	"crow/internal/transport"
)

// Paths of the tracker below its server's URL.
const (
	PathAnnounce = "/announce"
	PathScrape   = "/scrape"
)

// sweepEvery is how often hosts that fell silent are forgotten; some six
// times in the shortest life.
const sweepEvery = time.Minute

// limits bound what announces can make the tracker hold. A member takes some
// 200 bytes, so a full tracker some 50 MiB.
type limits struct {
	swarm int // members of one swarm
	total int // members of all swarms
}

var defaultLimits = limits{
	swarm: 20_000,  // twice the largest fleet that crow is made for
	total: 250_000, // 10,000 hosts with 25 releases each
}

// mostNeighbours bounds Config.MaxNeighbours: no client keeps as many
// connections for one torrent.
const mostNeighbours = 200

// Config is how a tracker answers.
type Config struct {
	MaxNeighbours int           // hosts in one answer, 1 to 200
	MinInterval   time.Duration // between a downloader's announces while few hosts download; at least 1s
	MaxInterval   time.Duration // between announces however many hosts there are
	// Seed makes the choice of neighbours repeatable; 0 draws one.
	Seed uint64
	// TrustIP accepts the address that a host announces for itself (ip, ipv4,
	// ipv6) in place of the one that it calls from. Hosts announce what their
	// config says they advertise. Only certificates can prove such an address:
	// until there are any, whoever can reach the tracker can announce any.
	TrustIP bool
	Log     *zap.Logger // nil: no log
}

// DefaultConfig returns the values that a config leaves out.
func DefaultConfig() Config {
	return Config{MaxNeighbours: 30, MinInterval: 2 * time.Second, MaxInterval: 30 * time.Minute, TrustIP: true}
}

// Validate checks every field and names the first bad one by its key in config
// files.
func (c Config) Validate() error {
	switch {
	case c.MaxNeighbours < 1 || c.MaxNeighbours > mostNeighbours:
		return fmt.Errorf("max_neighbours: %w value %d: want 1 to %d", release.ErrInvalid, c.MaxNeighbours, mostNeighbours)
	case c.MinInterval < time.Second:
		return fmt.Errorf("min_interval: %w value %s: want 1s or more", release.ErrInvalid, c.MinInterval)
	case c.MaxInterval < c.MinInterval:
		return fmt.Errorf("max_interval: %w value %s: want min_interval (%s) or more", release.ErrInvalid, c.MaxInterval, c.MinInterval)
	}
	return nil
}

// Tracker answers announces and scrapes of the torrents that are registered.
type Tracker struct {
	cfg    Config
	limits limits

	mu     sync.Mutex // guards what follows; held for microseconds
	swarms map[infohash]*swarm
	total  counts // members of all swarms
	rng    *rand.Rand
}

// New returns a tracker that knows no torrent yet.
func New(cfg Config) (*Tracker, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Seed == 0 {
		cfg.Seed = rand.Uint64()
	}
	return &Tracker{
		cfg: cfg, limits: defaultLimits,
		swarms: map[infohash]*swarm{},
		rng:    rand.New(rand.NewPCG(cfg.Seed, 0)),
	}, nil
}

// Run forgets hosts that fell silent until ctx ends. It returns nil.
func (t *Tracker) Run(ctx context.Context) error { return every(ctx, sweepEvery, t.sweep) }

// every calls f once in each period until ctx ends. It returns nil.
func every(ctx context.Context, period time.Duration, f func(now time.Time)) error {
	tick := time.NewTicker(period)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			f(now)
		}
	}
}

// Register makes the tracker serve a torrent, by its whole v2 infohash; to
// register it again changes nothing. The caller bounds how many there are.
func (t *Tracker) Register(torrent release.Digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if key := infohash(torrent.Short()); t.swarms[key] == nil {
		t.swarms[key] = newSwarm(&t.total)
	}
}

// Unregister forgets a torrent and its swarm.
func (t *Tracker) Unregister(torrent release.Digest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := infohash(torrent.Short())
	if s := t.swarms[key]; s != nil {
		s.clear()
		delete(t.swarms, key)
	}
}

// Handler serves PathAnnounce and PathScrape. Refusals are bencoded failure
// reasons with status 200, since clients look at nothing else.
func (t *Tracker) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+PathAnnounce, t.serveAnnounce)
	mux.HandleFunc("GET "+PathScrape, t.serveScrape)
	return mux
}

func (t *Tracker) sweep(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, s := range t.swarms {
		s.expire(now)
	}
}

func (t *Tracker) serveAnnounce(w http.ResponseWriter, r *http.Request) {
	a, err := parseAnnounce(r.URL.RawQuery, transport.CallerAddr(r), t.cfg.TrustIP)
	if err == nil {
		err = mayAnnounce(r, a.addrs)
	}
	if err != nil {
		t.refuse(w, err)
		return
	}
	n, err := t.announce(a, time.Now())
	if err != nil {
		t.refuse(w, err)
		return
	}
	t.write(w, answerAnnounce(a, n))
}

func (t *Tracker) serveScrape(w http.ResponseWriter, r *http.Request) {
	hashes, err := parseScrape(r.URL.RawQuery)
	if err != nil {
		t.refuse(w, err)
		return
	}
	t.write(w, t.scrape(hashes))
}

// refuse answers with a failure reason. The errors of this package are worded
// for clients and echo nothing of theirs.
func (t *Tracker) refuse(w http.ResponseWriter, err error) {
	t.cfg.Log.Debug("tracker refused a request", zap.Error(err))
	reason, ok := errors.AsType[failure](err)
	if !ok {
		reason = failInternal
	}
	t.write(w, refusal{Reason: string(reason)})
}

func (t *Tracker) write(w http.ResponseWriter, answer any) {
	if err := writeBencoded(w, answer); err != nil {
		t.cfg.Log.Debug("tracker answer was not sent", zap.Error(err))
	}
}
