// Package swarm is crow's torrent client, set up for a datacenter: it offers
// complete artifacts, fetches others from their neighbours, and counts where
// each byte came from.
//
// It owns the one client of the torrent library, the connections under it
// (counting, super-seeding) and the announces to the trackers. It does not
// decide what to fetch, where files live, or whether a whole artifact is the
// right one: pieces are verified here, artifacts by the caller. DESIGN.md tells
// how a piece travels and why.
package swarm

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/anacrolix/torrent"
	"go.uber.org/zap"

	"crow/internal/release"
	"crow/internal/transport"
)

// Role is what a node of the swarm is to the others.
type Role uint8

// The roles. A seeder super-seeds (BEP 16) what it offers.
const (
	RoleSeeder Role = iota
	RolePeer
)

// ErrClosed is what calls return once the swarm has been closed.
var ErrClosed = errors.New("swarm is closed")

// Config sets up one node of the swarm.
type Config struct {
	Role      Role
	Listen    string       // host:port of the peer wire, TCP
	Advertise string       // IP that trackers hand out for this node
	Standard  bool         // requests of 16 KiB, as clients other than crow expect
	Upload    release.Rate // bytes a second over all connections; 0: no limit
	Download  release.Rate // bytes a second over all connections; 0: no limit
	Security  transport.Security
	Log       *zap.Logger
	// Dropped, if set, is told of a torrent that is no longer offered because
	// somebody wrote to its file.
	Dropped func(infohash release.Digest)
}

// Progress is how far a fetch has come.
type Progress struct {
	Bytes      release.Bytes
	Done       int64 // bytes on disk, those from an earlier life and of unfinished pieces included
	Size       int64 // bytes in all
	Front      int64 // bytes from the start without a gap that are verified
	Neighbours int   // connections
	Rejected   int64 // pieces that arrived and did not match their hash
	CutOff     []CutOff
}

// Swarm is one node: all the torrents that it offers or fetches.
type Swarm struct {
	cfg      Config
	client   *torrent.Client
	listener *listener
	addr     netip.AddrPort // as trackers hand it out
	http     *http.Client   // to the trackers
	log      *zap.Logger

	life context.Context // ends when the swarm closes
	end  context.CancelFunc
	jobs sync.WaitGroup // announce loops and what was put off; begun while not closed

	strangers sync.Once // warned of another client
	greetings greetings
	room      *room
	limits    limits
	asking    *asking
	conns     atomic.Int32 // open connections
	byAlias   sync.Map     // of these, by alias: string to *conn
	uplink    *uplink
	graces    *graces
	pumps     sync.WaitGroup // connections' senders

	mu        sync.Mutex // guards what follows
	trackers  []string
	transfers map[[20]byte]*transfer
	closed    bool
}

// New binds the peer wire. Run must be called to give it back.
func New(cfg Config) (*Swarm, error) {
	ip, err := netip.ParseAddr(cfg.Advertise)
	if err != nil {
		return nil, fmt.Errorf("swarm: advertise %q: want an IP address", cfg.Advertise)
	}
	l, err := cfg.Security.ListenTCP(cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("swarm: %w", err)
	}
	s := &Swarm{
		cfg: cfg, log: cfg.Log, http: cfg.Security.HTTPClient(transport.RoleSeeder, transport.RoleTracker),
		limits: newLimits(cfg.Upload, cfg.Download), uplink: newUplink(uploadSlots),
		asking: newAsking(newLimit(cfg.Download)), room: newRoom(cfg.Role), transfers: map[[20]byte]*transfer{},
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.listener = &listener{Listener: l, swarm: s}
	s.addr = netip.AddrPortFrom(ip, uint16(l.Addr().(*net.TCPAddr).Port))
	if s.client, s.graces, err = newClient(cfg, s.addr, s.delivered); err != nil {
		l.Close()
		return nil, fmt.Errorf("swarm: start torrent client: %w", err)
	}
	s.jobs.Go(func() { s.asking.run(s.life.Done()) })
	s.client.AddDialer(dialer{s})
	s.client.AddListener(s.listener)
	return s, nil
}

// Addr is the address that neighbours reach this node at.
func (s *Swarm) Addr() netip.AddrPort { return s.addr }

// Run blocks until ctx ends, then closes every transfer and connection.
func (s *Swarm) Run(ctx context.Context) error {
	<-ctx.Done()
	s.close()
	return nil
}

// close tells the trackers goodbye and ends everything. The client goes before
// its listener: it accepts in a loop until it is closed itself.
func (s *Swarm) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.end()
	s.jobs.Wait()
	for _, err := range s.client.Close() {
		s.log.Warn("torrent client did not close cleanly", zap.Error(err))
	}
	s.hangUp()
	s.pumps.Wait()
	s.listener.Close()
	s.http.CloseIdleConnections()
}

// hangUp closes the connections that the client has left: those whose handshake is
// under way, which a limit may hold for long.
func (s *Swarm) hangUp() {
	s.byAlias.Range(func(_, c any) bool {
		c.(*conn).Close()
		return true
	})
}

// SetTrackers says where to announce from now on, as announce URLs.
func (s *Swarm) SetTrackers(urls []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.Equal(s.trackers, urls) {
		return
	}
	s.trackers = slices.Clone(urls)
	for _, t := range s.transfers {
		t.announceNow()
	}
}

func (s *Swarm) announceURLs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trackers
}

// Seed offers a complete file that the caller has verified. Offering it twice
// changes nothing.
func (s *Swarm) Seed(torrentFile []byte, path string) error {
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		return err
	}
	if s.find(m.InfoHash.Short()) != nil {
		return nil
	}
	file, err := openComplete(path, m)
	if err != nil {
		return err
	}
	_, err = s.add(m, file)
	return err
}

// Fetch downloads an artifact into path and returns once the hash of every
// piece has been verified; the node goes on offering it. Pieces that path holds
// from an earlier life, according to the journal beside it, are verified and
// not fetched again. update is called at most once a second, and once at the
// end. When ctx ends first the transfer is dropped and path stays for a later
// Fetch.
func (s *Swarm) Fetch(ctx context.Context, torrentFile []byte, path string, update func(Progress)) error {
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		return err
	}
	file, err := openPartial(path, m)
	if err != nil {
		return err
	}
	t, err := s.add(m, file)
	if err != nil {
		return err
	}
	if err := t.fetch(ctx, update); err != nil {
		s.Drop(m.InfoHash)
		return err
	}
	return nil
}

// add makes a transfer of an opened file, which it owns from then on.
func (s *Swarm) add(m Torrent, file *file) (*transfer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	short := m.InfoHash.Short()
	switch {
	case s.closed:
		file.Close()
		return nil, ErrClosed
	case s.transfers[short] != nil:
		file.Close()
		return nil, fmt.Errorf("torrent %s is under way already", m.InfoHash)
	}
	t := newTransfer(s, m, file)
	file.onChange = sync.OnceFunc(func() { s.later(func() { s.dropChanged(m.InfoHash) }) })
	s.transfers[short] = t
	t.open()
	s.jobs.Go(t.announceLoop)
	if t.show != nil {
		s.jobs.Go(t.reviewLoop)
	}
	return t, nil
}

func (s *Swarm) find(short [20]byte) *transfer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transfers[short]
}

// Drop stops offering or fetching a torrent and closes its file.
func (s *Swarm) Drop(infohash release.Digest) {
	s.mu.Lock()
	t := s.transfers[infohash.Short()]
	delete(s.transfers, infohash.Short())
	s.mu.Unlock()
	if t != nil {
		t.close()
	}
}

// later runs f beside the caller, who may hold the client's locks.
func (s *Swarm) later(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.jobs.Go(f)
	}
}

func (s *Swarm) dropChanged(infohash release.Digest) {
	s.log.Error("artifact is no longer offered: its file was written to", zap.Stringer("infohash", infohash))
	s.Drop(infohash)
	if s.cfg.Dropped != nil {
		s.cfg.Dropped(infohash)
	}
}

// AddNeighbours hints at addresses where the torrent may be had. Hints for a
// complete or unknown torrent are passed over.
func (s *Swarm) AddNeighbours(infohash release.Digest, addrs []netip.AddrPort) {
	if t := s.find(infohash.Short()); t != nil {
		t.addNeighbours(addrs)
	}
}

// Sent is how many bytes of the artifact this node has sent to others, in all.
func (s *Swarm) Sent(infohash release.Digest) int64 {
	if t := s.find(infohash.Short()); t != nil {
		return t.counts.sent.Load()
	}
	return 0
}
