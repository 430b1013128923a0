package peer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
)

// keeper looks after the cache in the background: it offers what earlier lives
// left there, mends what somebody wrote to, and removes what no release needs.
type keeper struct {
	cache   *cache
	disk    *disk
	log     *zap.Logger
	spare   atomic.Pointer[map[string]bool] // paths
	wake    chan struct{}                   // of capacity 1: what is needed has changed
	dropped *droplist
	lost    chan<- release.Digest // found corrupt and removed
	stall   time.Duration
}

// droplist is what the swarm no longer offers because somebody wrote to it. The
// swarm must not wait for the keeper, who may be hashing, nor for one who has
// ended.
type droplist struct {
	wake chan struct{} // of capacity 1

	mu         sync.Mutex
	infohashes map[release.Digest]bool // of what was offered, and so bounded
}

func newDroplist() *droplist {
	return &droplist{wake: make(chan struct{}, 1), infohashes: map[release.Digest]bool{}}
}

func (l *droplist) add(infohash release.Digest) {
	l.mu.Lock()
	l.infohashes[infohash] = true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *droplist) take() map[release.Digest]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.infohashes
	l.infohashes = map[release.Digest]bool{}
	return all
}

// want tells what to keep from now on, and the paths that could go if room had to
// be made. It counts at once, also for a sweep that is under way.
func (k *keeper) want(needed map[release.Digest]bool, spare []string) {
	k.cache.needed.Store(&needed)
	paths := map[string]bool{}
	for _, path := range spare {
		paths[path] = true
	}
	k.spare.Store(&paths)
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// run works until ctx ends. At the first word from the loop, what it needs of
// the cache is offered, once the rest has been swept away.
func (k *keeper) run(ctx context.Context) {
	restored := false
	for {
		select {
		case <-k.wake:
			k.clear()
			if !restored {
				restored = true
				k.restore(ctx)
			}
		case <-k.dropped.wake:
			for infohash := range k.dropped.take() {
				k.mend(ctx, infohash)
			}
		case <-ctx.Done():
			return
		}
	}
}

// clear drops what nobody needs, and finds out what room there is then.
func (k *keeper) clear() {
	if err := k.cache.sweep(); err != nil {
		k.log.Warn("could not clear the cache", zap.Error(err))
	}
	if err := k.disk.survey(*k.spare.Load()); err != nil {
		k.log.Warn("could not find out what data_dir takes", zap.Error(err))
	}
}

// restore offers every artifact of the cache, and hashes again those that may
// have changed since they were verified.
func (k *keeper) restore(ctx context.Context) {
	whole, _, err := k.cache.list()
	if err != nil {
		k.log.Warn("could not offer the cache", zap.Error(err))
	}
	for _, d := range whole {
		if ctx.Err() != nil {
			return
		}
		k.restoreOne(ctx, d, k.cache.has)
	}
}

// mend hashes an artifact that somebody wrote to, and offers it again if its
// bytes are still right. Its file's size and time say nothing any more.
func (k *keeper) mend(ctx context.Context, infohash release.Digest) {
	whole, _, err := k.cache.list()
	if err != nil {
		k.log.Warn("could not mend the cache", zap.Error(err))
	}
	for _, d := range whole {
		if _, meta, ok := k.cache.state.torrent(d); ok && meta.InfoHash == infohash {
			k.restoreOne(ctx, d, k.cache.rehash)
		}
	}
}

// restoreOne offers an artifact that look finds whole, and otherwise tells the
// loop of it. Trouble with it is logged.
func (k *keeper) restoreOne(ctx context.Context, d release.Digest, look lookup) {
	if err := k.offer(ctx, d, look); err != nil {
		k.log.Warn("could not offer a cached artifact", zap.Stringer("sha256", d), zap.Error(err))
	}
}

// lookup is cache.has or cache.rehash.
type lookup func(ctx context.Context, d release.Digest, beat func()) (bool, error)

func (k *keeper) offer(ctx context.Context, d release.Digest, look lookup) error {
	defer k.cache.hold(d)()
	unlock, err := k.cache.lock(ctx, d)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, beat, stop := watch(ctx, k.stall, errDiskSilent)
	defer stop()
	ok, err := look(ctx, d, beat)
	if err != nil {
		return err
	}
	if ok {
		k.cache.offer(d)
		return nil
	}
	select {
	case k.lost <- d:
	case <-ctx.Done():
	}
	return nil
}
