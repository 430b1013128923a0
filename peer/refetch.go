package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"crow/internal/release"
	"crow/internal/swarm"
)

// maxStrayStall is how long the fetch of an artifact that nothing orders may stand
// still: no tracker tells who has it, and perhaps nobody does.
const maxStrayStall = 30 * time.Second

// refetch brings an artifact back into the cache and offers it. The caller has
// its turn. What the host had trusted once is trusted still: the whole is checked
// against its SHA-256.
func (v *verification) refetch(ctx context.Context, d release.Digest) error {
	limit := v.timing.stall
	if !v.ordered[d] {
		limit = min(limit, maxStrayStall)
	}
	ctx, beat, stop := watch(ctx, limit, func() error { return fmt.Errorf("nothing arrived for %s", limit) })
	defer stop()
	torrent, meta, err := v.torrentOf(ctx, d)
	if err != nil {
		return err
	}
	part := v.cache.partPath(d)
	if err := v.claim(part, meta.Size); err != nil {
		return err
	}
	defer v.disk.letGo(part)
	v.cache.withdraw(d) // what was offered, if anything, is no longer there
	most, head := int64(0), startHeadHash(part)
	err = v.cache.swarm.Fetch(ctx, torrent, part, func(p swarm.Progress) {
		if p.Done > most {
			most = p.Done
			beat()
		}
		if p.Neighbours == 0 {
			// If ctx has ended, so has the fetch.
			_ = v.ask(ctx, func(a *agent) { a.hintAt(meta.InfoHash) })
		}
	})
	if err != nil {
		head.stop()
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return err
	}
	if err := v.cache.adopt(ctx, d, head, beat); err != nil {
		return err
	}
	v.cache.offer(d)
	return nil
}

// claim has the disk keep room for a download. What nobody needs goes for it, but no
// release does: none was ordered in its place.
func (v *verification) claim(part string, size int64) error {
	c := claim{part: part, download: size}
	err := v.disk.claim(part, c)
	if !errors.Is(err, errOverBudget) {
		return err
	}
	if err := v.cache.sweep(); err != nil {
		return err
	}
	return v.disk.claim(part, c)
}

// torrentOf returns an artifact's torrent, from the state or from a seeder.
func (v *verification) torrentOf(ctx context.Context, d release.Digest) ([]byte, swarm.Torrent, error) {
	if torrent, meta, ok := v.state.torrent(d); ok {
		return torrent, meta, nil
	}
	torrent, err := v.seeders.torrent(ctx, d, v.timing)
	if err != nil {
		return nil, swarm.Torrent{}, err
	}
	meta, err := swarm.ParseTorrent(torrent)
	if err != nil {
		return nil, meta, err
	}
	return torrent, meta, v.state.putTorrent(d, torrent)
}
