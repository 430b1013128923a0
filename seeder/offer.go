package seeder

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
	"crow/tracker"
)

// swarmer is what offers ask of the torrent client.
type swarmer interface {
	Seed(torrent []byte, path string) error
	Drop(infohash release.Digest)
	Sent(infohash release.Digest) int64
}

// offers keeps the swarm and the trackers to the releases that are in force.
// Any other would cost connections, files and memory for nobody: a release that
// is deployed again is offered again.
type offers struct {
	ledger   *ledger
	dir      *store.Dir
	swarm    swarmer
	tracker  *tracker.Tracker   // the seeder's own
	external *tracker.Registrar // of trackers elsewhere; nil: none
	log      *zap.Logger

	added   chan struct{}      // signalled when a torrent was registered
	again   chan struct{}      // signalled when something in force has to be offered afresh
	hashing singleflight.Group // so that a file is hashed once for all who wait

	// mu makes "see what is in force, then drop the rest" a whole step. It is
	// held while the ledger is asked, and not while files are hashed or trackers
	// called.
	mu     sync.Mutex
	served map[release.Digest]*service // by infohash: what the tracker knows
	broken map[release.Digest]failure  // artifacts that could not be offered
}

// service is one torrent that the tracker knows.
type service struct {
	offered bool // by the swarm too
	due     int  // calls that are about to order it: until they have, it stays
}

func newOffers(l *ledger, dir *store.Dir, s swarmer, own *tracker.Tracker, external *tracker.Registrar, log *zap.Logger) *offers {
	return &offers{
		ledger: l, dir: dir, swarm: s, tracker: own, external: external, log: log,
		added: make(chan struct{}, 1), again: make(chan struct{}, 1),
		served: map[release.Digest]*service{}, broken: map[release.Digest]failure{},
	}
}

// run offers what is in force, and keeps to it as that changes, until ctx ends.
// changed is called whenever orders have changed.
func (o *offers) run(ctx context.Context, stir <-chan struct{}, every time.Duration, changed func()) error {
	var telling sync.WaitGroup
	defer telling.Wait()
	telling.Go(func() { o.tellTrackers(ctx, every) })
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		o.align(ctx)
		select {
		case <-stir:
			changed()
		case <-o.again:
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// during offers a release while f orders it. When f fails, what nobody was
// ordered to have is dropped again. Trackers elsewhere are told meanwhile: a host
// that is refused by one asks again.
func (o *offers) during(ctx context.Context, ref release.Ref, f func() error) error {
	r, err := ask(ctx, o.ledger, func(b *books, _ time.Time) (control.Release, error) { return b.release(ref) })
	if err != nil {
		return err
	}
	m := r.Manifest
	o.expect(m.InfoHash, 1)
	if err = o.offer(ctx, m); err == nil {
		err = f()
	}
	o.expect(m.InfoHash, -1)
	if err != nil {
		_, _ = o.trim(ctx) // fails with the call; align will do it then
	}
	return err
}

// expect registers a torrent that one more call, or with -1 one less, is about
// to order.
func (o *offers) expect(infohash release.Digest, calls int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.register(infohash)
	o.served[infohash].due += calls
}

// align brings swarm and tracker in line with the orders. The tracker comes
// first, and knows also what cannot be offered here: hosts that have it can
// still pass it on.
func (o *offers) align(ctx context.Context) {
	wanted, err := o.trim(ctx)
	if err != nil {
		return // the seeder is stopping
	}
	for infohash, m := range wanted {
		if o.isOffered(infohash) {
			continue
		}
		if err := o.offer(ctx, m); err != nil && ctx.Err() == nil {
			o.log.Error("release cannot be offered", zap.Stringer("release", m.Ref()), zap.Error(err))
		}
	}
}

// trim drops what no host is ordered to have and registers the rest, which it
// returns.
func (o *offers) trim(ctx context.Context) (map[release.Digest]release.Manifest, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	wanted, err := ask(ctx, o.ledger, func(b *books, _ time.Time) (map[release.Digest]release.Manifest, error) {
		return b.inForce(), nil
	})
	if err != nil {
		return nil, err
	}
	for infohash, s := range o.served {
		if _, ok := wanted[infohash]; !ok && s.due == 0 {
			o.drop(infohash)
		}
	}
	for infohash := range wanted {
		o.register(infohash)
	}
	return wanted, nil
}

// register needs the lock, as drop does.
func (o *offers) register(infohash release.Digest) {
	if o.served[infohash] == nil {
		o.tracker.Register(infohash)
		o.served[infohash] = new(service)
		signal(o.added)
	}
}

func (o *offers) drop(infohash release.Digest) {
	if o.served[infohash].offered {
		o.swarm.Drop(infohash)
	}
	o.tracker.Unregister(infohash)
	delete(o.served, infohash)
}

func (o *offers) isOffered(infohash release.Digest) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.served[infohash]
	return s != nil && s.offered
}

// replaced has a torrent whose file is another one now offered afresh: the swarm
// has the old one open.
func (o *offers) replaced(infohash release.Digest) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s := o.served[infohash]; s != nil && s.offered {
		o.swarm.Drop(infohash)
		s.offered = false
	}
	signal(o.again)
}

// signal leaves word for the one who receives from c, if there is none yet.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// offer gives a registered release to the swarm. One that the swarm has is
// checked all the same: its file may have been damaged since.
func (o *offers) offer(ctx context.Context, m release.Manifest) error {
	if err := o.check(ctx, m); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	s := o.served[m.InfoHash]
	if s == nil || s.offered {
		return nil // nil: it is not wanted any more
	}
	torrent, err := o.dir.GetDoc(kindTorrent, m.SHA256.String())
	if err != nil {
		return err
	}
	if err := o.swarm.Seed(torrent, o.dir.BlobPath(m.SHA256)); err != nil {
		return fmt.Errorf("offer %s: %w", m.Ref(), err)
	}
	s.offered = true
	o.log.Info("release offered", zap.Stringer("release", m.Ref()), zap.Stringer("infohash", m.InfoHash))
	return nil
}

// tellTrackers registers what is served with trackers elsewhere, at once what is
// new and all of it every so often, until ctx ends. One that is down is told a
// minute later.
func (o *offers) tellTrackers(ctx context.Context, every time.Duration) {
	if o.external == nil {
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-o.added:
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if err := o.external.Renew(ctx, o.torrents()); err != nil && ctx.Err() == nil {
			o.log.Warn("torrents not registered with a tracker", zap.Error(err))
		}
	}
}

func (o *offers) torrents() []release.Digest {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Collect(maps.Keys(o.served))
}
