package seeder

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
	"crow/seeder/build"
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

	// mu makes "offer, then deploy" and "see what is in force, then drop the
	// rest" whole steps, so that none drops what the other is about to need.
	mu     sync.Mutex
	served map[release.Digest]bool    // infohashes known to the tracker; true: offered too
	broken map[release.Digest]failure // artifacts that could not be offered
}

// failure is why a file could not be offered, for as long as it stays the same
// file: hashing a large one over and over would help nobody.
type failure struct {
	modTime time.Time
	size    int64
	err     error
}

func newOffers(l *ledger, dir *store.Dir, s swarmer, own *tracker.Tracker, external *tracker.Registrar, log *zap.Logger) *offers {
	return &offers{
		ledger: l, dir: dir, swarm: s, tracker: own, external: external, log: log,
		served: map[release.Digest]bool{}, broken: map[release.Digest]failure{},
	}
}

// run offers what is in force, and keeps to it as that changes, until ctx ends.
// changed is called whenever orders have changed.
func (o *offers) run(ctx context.Context, stir <-chan struct{}, every time.Duration, changed func()) error {
	again := time.NewTicker(every)
	defer again.Stop()
	for {
		o.align(ctx)
		select {
		case <-stir:
			changed()
		case <-again.C:
			o.renew(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// during offers a release while f orders it. When f fails, what nobody was
// ordered to have is dropped again.
func (o *offers) during(ctx context.Context, ref release.Ref, f func() error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	m, err := ask(ctx, o.ledger, func(b *books, _ time.Time) (release.Manifest, error) { return b.release(ref) })
	if err != nil {
		return err
	}
	o.register(m.InfoHash)
	if err := o.offer(ctx, m); err != nil {
		return err
	}
	o.tellTrackers(ctx)
	if err := f(); err != nil {
		o.alignLocked(ctx)
		return err
	}
	return nil
}

func (o *offers) renew(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tellTrackers(ctx)
}

func (o *offers) align(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.alignLocked(ctx)
}

// alignLocked brings swarm and tracker in line with the orders. The tracker
// comes first, and knows also what cannot be offered here: hosts that have it
// can still pass it on.
func (o *offers) alignLocked(ctx context.Context) {
	wanted, err := ask(ctx, o.ledger, func(b *books, _ time.Time) (map[release.Digest]release.Manifest, error) {
		return b.inForce(), nil
	})
	if err != nil {
		return // the seeder is stopping
	}
	for infohash := range o.served {
		if _, ok := wanted[infohash]; !ok {
			o.drop(infohash)
		}
	}
	before := len(o.served)
	for infohash := range wanted {
		o.register(infohash)
	}
	if len(o.served) > before {
		o.tellTrackers(ctx)
	}
	for _, m := range wanted {
		if err := o.offer(ctx, m); err != nil && ctx.Err() == nil {
			o.log.Error("release cannot be offered", zap.Stringer("release", m.Ref()), zap.Error(err))
		}
	}
}

func (o *offers) register(infohash release.Digest) {
	if _, ok := o.served[infohash]; !ok {
		o.tracker.Register(infohash)
		o.served[infohash] = false
	}
}

func (o *offers) drop(infohash release.Digest) {
	if o.served[infohash] {
		o.swarm.Drop(infohash)
	}
	o.tracker.Unregister(infohash)
	delete(o.served, infohash)
}

// offer gives a registered release to the swarm.
func (o *offers) offer(ctx context.Context, m release.Manifest) error {
	if o.served[m.InfoHash] {
		return nil
	}
	if err := o.check(ctx, m); err != nil {
		return err
	}
	torrent, err := o.dir.GetDoc(kindTorrent, m.SHA256.String())
	if err != nil {
		return err
	}
	if err := o.swarm.Seed(torrent, o.dir.BlobPath(m.SHA256)); err != nil {
		return fmt.Errorf("offer %s: %w", m.Ref(), err)
	}
	o.served[m.InfoHash] = true
	o.log.Info("release offered", zap.Stringer("release", m.Ref()), zap.Stringer("infohash", m.InfoHash))
	return nil
}

// check makes sure that the artifact's file is what it was when it came. A file
// that looks untouched is believed; another is hashed again.
func (o *offers) check(ctx context.Context, m release.Manifest) error {
	path := o.dir.BlobPath(m.SHA256)
	fi, err := os.Stat(path)
	if err != nil {
		return damaged(m, err)
	}
	intact, err := ask(ctx, o.ledger, func(b *books, _ time.Time) (bool, error) {
		s := b.catalog.blobs[m.SHA256]
		return s != nil && s.intact(path), nil
	})
	if err != nil || intact {
		return err
	}
	if old, ok := o.broken[m.SHA256]; ok && old.size == fi.Size() && old.modTime.Equal(fi.ModTime()) {
		return old.err
	}
	o.log.Warn("artifact's file was touched: hashing it again", zap.Stringer("sha256", m.SHA256))
	if err := rehash(path, blobOf(m)); err != nil {
		err = damaged(m, err)
		o.broken[m.SHA256] = failure{modTime: fi.ModTime(), size: fi.Size(), err: err}
		return err
	}
	return tell(ctx, o.ledger, func(b *books, _ time.Time) error { return b.catalog.confirm(m.SHA256, fi.ModTime()) })
}

func damaged(m release.Manifest, err error) error {
	return &control.Error{
		Code: control.CodeInternal, Message: fmt.Sprintf("artifact of %s is damaged on the seeder's disk: %v", m.Ref(), err),
		Hint: "push the build again under another version",
	}
}

// rehash reads a file to see whether it is the artifact that want describes.
func rehash(path string, want control.Blob) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := build.NewHasher()
	defer h.Close()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	found, err := h.Sum()
	if err != nil {
		return err
	}
	if field := contradiction(found.Blob, want); field != "" {
		return fmt.Errorf("its %s has changed", field)
	}
	return nil
}

// tellTrackers registers what is served with trackers elsewhere. One that is
// down is told a minute later.
func (o *offers) tellTrackers(ctx context.Context) {
	if o.external == nil {
		return
	}
	if err := o.external.Renew(ctx, slices.Collect(maps.Keys(o.served))); err != nil && ctx.Err() == nil {
		o.log.Warn("torrents not registered with a tracker", zap.Error(err))
	}
}
