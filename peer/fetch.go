package peer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/swarm"
)

// fetch brings the verified artifact into the cache: from there if it is there,
// else over the swarm.
func (j *job) fetch(ctx context.Context) error {
	m := j.order.Manifest
	began := time.Now()
	j.enter(release.Fetching)
	unlock, err := j.cache.lock(ctx, m.SHA256)
	if err != nil {
		return err
	}
	defer unlock()
	cached, err := j.obtain(ctx)
	if err != nil {
		return err
	}
	j.cache.offer(m.SHA256)
	if j.report.Phase >= release.Verified {
		return nil // an earlier job of this deploy told of the fetch
	}
	if cached {
		j.report.Bytes = j.origins().sum(release.Bytes{Local: m.Size}, true)
	}
	j.rec.Fetched = &fetched{Deploy: j.order.Deploy, Bytes: j.report.Bytes} // written down with the next step
	j.report.FetchSeconds = time.Since(began).Seconds()
	j.enter(release.Verified)
	j.log.Info("artifact verified", zap.Int64("bytes", m.Size), zap.Int64("received", j.report.Bytes.Received()),
		zap.Bool("cached", cached), zap.Duration("took", time.Since(began)))
	return nil
}

// obtain looks for the artifact in the cache, else fetches and verifies it. The
// caller has the artifact's turn, so no other app's job does the same.
func (j *job) obtain(ctx context.Context) (cached bool, err error) {
	err = j.verify(ctx, func(ctx context.Context, beat func()) (err error) {
		cached, err = j.cache.has(ctx, j.order.Manifest.SHA256, beat)
		return err
	})
	if err != nil || cached {
		return cached, err
	}
	head := startHeadHash(j.cache.partPath(j.order.Manifest.SHA256))
	if err := j.download(ctx, head); err != nil {
		head.stop()
		return false, at(stepFetch, err)
	}
	j.disk.arrived(j.name())
	return false, j.verify(ctx, func(ctx context.Context, beat func()) error {
		return j.cache.adopt(ctx, j.order.Manifest.SHA256, head, beat)
	})
}

// verify runs what hashes the artifact as long as the disk answers.
func (j *job) verify(ctx context.Context, f func(ctx context.Context, beat func()) error) error {
	ctx, beat, stop := watch(ctx, j.timing.stall, errDiskSilent)
	defer stop()
	return at(stepVerify, f(ctx, beat))
}

// errSilent is the error of what waited for the disk for long enough.
var errSilent = errors.New("stalled: the disk does not answer")

func errDiskSilent() error { return errSilent }

// download fetches over the swarm, and has head follow.
func (j *job) download(ctx context.Context, head *headHash) error {
	m := j.order.Manifest
	var newest atomic.Pointer[swarm.Progress]
	newest.Store(&swarm.Progress{Size: m.Size})
	ctx, beat, stop := watch(ctx, j.timing.stall, func() error { return stalled(*newest.Load(), j.timing.stall) })
	defer stop()
	torrent, err := j.torrent(ctx)
	if err != nil {
		return err
	}
	if err := j.claim(ctx, claim{part: j.cache.partPath(m.SHA256), download: m.Size}); err != nil {
		return err
	}
	j.cache.withdraw(m.SHA256) // what was offered, if anything, is no longer there
	j.log.Info("fetch begins", zap.Stringer("infohash", m.InfoHash), zap.Int64("bytes", m.Size))
	// A damaged piece is given up and fetched again: only more than there ever
	// was is headway.
	most := int64(0)
	var meter meter
	meter.rate(time.Now(), 0)
	origins := j.origins()
	err = j.cache.swarm.Fetch(ctx, torrent, j.cache.partPath(m.SHA256), func(p swarm.Progress) {
		newest.Store(&p)
		head.advance(p.Front)
		if p.Done > most {
			most = p.Done
			beat()
		}
		if j.report.Phase < release.Verified {
			origins.progress(p)
			j.report.Rate, j.report.CutOff = meter.rate(time.Now(), p.Bytes.Received()), cutOff(p.CutOff)
			j.progress()
		}
	})
	if err != nil {
		if j.report.Phase < release.Verified {
			origins.note()
		}
		return j.fetchFailed(ctx, err)
	}
	return nil
}

// cutOff words which neighbours sent bad pieces.
func cutOff(all []swarm.CutOff) string {
	var words []string
	for _, c := range all {
		words = append(words, c.String())
	}
	return shorten(strings.Join(words, "; "), control.MaxReasonLen)
}

// stalled words how a fetch without headway stands, and what may be the cause.
func stalled(p swarm.Progress, limit time.Duration) error {
	text := fmt.Sprintf("stalled: nothing arrived for %s, %s of %s are here", limit, release.Size(p.Done), release.Size(p.Size))
	switch p.Rejected {
	case 0:
	case 1:
		text += "; 1 piece arrived damaged: a copy in the swarm is bad"
	default:
		text += fmt.Sprintf("; %d pieces arrived damaged: a copy in the swarm is bad", p.Rejected)
	}
	switch p.Neighbours {
	case 0:
		text += "; no neighbour has what is missing"
	case 1:
		text += "; 1 neighbour"
	default:
		text += fmt.Sprintf("; %d neighbours", p.Neighbours)
	}
	return errors.New(text)
}

// fetchFailed words a failed transfer. On a full disk what arrived is given
// back, since others need the room; else it stays for the next attempt.
func (j *job) fetchFailed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if errors.Is(store.Explain(err), store.ErrFull) {
		return errors.Join(fmt.Errorf("disk full: %w", err), j.cache.discard(j.order.Manifest.SHA256))
	}
	return err
}

// torrent returns the artifact's torrent, from the state or from a seeder.
func (j *job) torrent(ctx context.Context) ([]byte, error) {
	m := j.order.Manifest
	if b, t, ok := j.state.torrent(m.SHA256); ok && matches(m, t) == nil {
		return b, nil
	}
	b, err := j.seeders.torrent(ctx, m.SHA256, j.timing)
	if err != nil {
		return nil, err
	}
	t, err := swarm.ParseTorrent(b)
	if err == nil {
		err = matches(m, t)
	}
	if err != nil {
		return nil, fmt.Errorf("torrent of %s: %w", m.Ref(), err)
	}
	return b, j.state.putTorrent(m.SHA256, b)
}

// matches checks that a torrent is the one that the manifest speaks of.
func matches(m release.Manifest, t swarm.Torrent) error {
	switch {
	case t.InfoHash != m.InfoHash:
		return fmt.Errorf("infohash %s differs from the manifest's %s", t.InfoHash, m.InfoHash)
	case t.Size != m.Size:
		return fmt.Errorf("size %d differs from the manifest's %d", t.Size, m.Size)
	case t.PieceLength != m.PieceLength:
		return fmt.Errorf("piece length %d differs from the manifest's %d", t.PieceLength, m.PieceLength)
	}
	return nil
}

// seeders are the configured ones, asked in turn.
type seeders []*control.Client

// torrent asks the seeders for an artifact's torrent until one has it, they
// all say that there is none, or ctx ends.
func (s seeders) torrent(ctx context.Context, d release.Digest, t timing) ([]byte, error) {
	pauses := t.backoff()
	for {
		missing := 0
		var err error
		for _, c := range s {
			var b []byte
			if b, err = c.Torrent(ctx, d); err == nil {
				return b, nil
			}
			if isCode(err, control.CodeNotFound) {
				missing++
			}
		}
		if missing == len(s) {
			return nil, fmt.Errorf("get torrent: %w", err)
		}
		if pause(ctx, pauses.NextBackOff()) != nil {
			return nil, fmt.Errorf("get torrent: %w: %w", context.Cause(ctx), err)
		}
	}
}

func isCode(err error, code control.Code) bool {
	var e *control.Error
	return errors.As(err, &e) && e.Code == code
}

// pause waits, or returns early with the context's error.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
