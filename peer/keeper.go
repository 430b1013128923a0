package peer

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
)

// keeper looks after the cache in the background: it offers what earlier lives
// left there, and removes what no release needs.
type keeper struct {
	cache *cache
	log   *zap.Logger
	wake  chan struct{}         // of capacity 1: what is needed has changed
	lost  chan<- release.Digest // found corrupt when the agent started
	stall time.Duration
}

// want tells what to keep from now on. It counts at once, also for a sweep that
// is under way.
func (k *keeper) want(needed map[release.Digest]bool) {
	k.cache.needed.Store(&needed)
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
			if err := k.sweep(); err != nil {
				k.log.Warn("could not clear the cache", zap.Error(err))
			}
			if !restored {
				restored = true
				k.restore(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

// sweep drops what nobody needs: artifacts, unfinished downloads, documents.
func (k *keeper) sweep() error {
	whole, parts, err := k.cache.list()
	if err != nil {
		return err
	}
	known, err := k.cache.state.known()
	if err != nil {
		return err
	}
	there := slices.SortedFunc(slices.Values(slices.Concat(whole, parts, known)), func(a, b release.Digest) int {
		return bytes.Compare(a[:], b[:])
	})
	var trouble error
	for _, d := range slices.Compact(there) {
		trouble = errors.Join(trouble, k.cache.drop(d))
	}
	return trouble
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
		if err := k.restoreOne(ctx, d); err != nil {
			k.log.Warn("could not offer a cached artifact", zap.Stringer("sha256", d), zap.Error(err))
		}
	}
}

func (k *keeper) restoreOne(ctx context.Context, d release.Digest) error {
	defer k.cache.hold(d)()
	unlock, err := k.cache.lock(ctx, d)
	if err != nil {
		return err
	}
	defer unlock()
	ctx, beat, stop := watch(ctx, k.stall, func() error { return errors.New("verify stalled: the disk does not answer") })
	defer stop()
	ok, err := k.cache.has(ctx, d, beat)
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
