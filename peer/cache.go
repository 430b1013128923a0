package peer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/swarm"
)

// transfer moves artifacts between hosts: the swarm, as far as jobs use it.
type transfer interface {
	// Fetch returns once every piece of the artifact is in path and verified;
	// it goes on offering the file, even when that is renamed.
	Fetch(ctx context.Context, torrent []byte, path string, update func(swarm.Progress)) error
	Seed(torrent []byte, path string) error
	Drop(infohash release.Digest)
	AddNeighbours(infohash release.Digest, addrs []netip.AddrPort)
}

// cacheMode keeps cached artifacts from being changed by accident.
const cacheMode = 0o444

// Names of unfinished downloads: .<sha256>.part, and the swarm's journal
// beside it.
const (
	partPrefix = "."
	partSuffix = ".part"
)

// readBuffer is how much of a file is hashed at a time, in bytes.
const readBuffer = 1 << 20

// cache owns data_dir/cache: verified artifacts by SHA-256, shared by all apps
// and offered to the swarm. Apps with the same artifact take turns at it, so
// that it is fetched once and by one of them.
type cache struct {
	dir   string
	state state
	swarm transfer
	log   *zap.Logger

	sweeping sync.Mutex
	mu       sync.Mutex // guards entries, and drop's look at needed
	entries  map[release.Digest]*entry
	// needed is what some release needs, whether or not anybody holds it; nil
	// until that is known.
	needed atomic.Pointer[map[release.Digest]bool]
}

// entry is an artifact that somebody needs or works on.
type entry struct {
	holders int
	turn    chan struct{} // of capacity 1; full while somebody works on the file
}

func newCache(dir string, s state, t transfer, log *zap.Logger) *cache {
	return &cache{dir: dir, state: s, swarm: t, log: log, entries: map[release.Digest]*entry{}}
}

func (c *cache) path(d release.Digest) string { return filepath.Join(c.dir, d.String()) }

func (c *cache) isThere(d release.Digest) bool { return isThere(c.path(d)) }

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func (c *cache) partPath(d release.Digest) string {
	return filepath.Join(c.dir, partPrefix+d.String()+partSuffix)
}

// hold keeps an artifact from being swept away until the returned function is
// called.
func (c *cache) hold(d release.Digest) (letGo func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[d]
	if e == nil {
		e = &entry{turn: make(chan struct{}, 1)}
		c.entries[d] = e
	}
	e.holders++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if e.holders--; e.holders == 0 {
			delete(c.entries, d)
		}
	})
}

// lock waits for the turn to work on an artifact that the caller holds.
func (c *cache) lock(ctx context.Context, d release.Digest) (unlock func(), err error) {
	c.mu.Lock()
	e := c.entries[d]
	c.mu.Unlock()
	select {
	case e.turn <- struct{}{}:
		return func() { <-e.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// has reports whether the cache has the artifact, whole and verified. A file
// that may have changed since it was verified is hashed again, and removed if
// it has. The caller has the turn.
func (c *cache) has(ctx context.Context, d release.Digest, beat func()) (bool, error) {
	path := c.path(d)
	if !c.isThere(d) {
		return false, nil
	}
	if c.state.isVerified(d, path) {
		return true, nil
	}
	return c.rehash(ctx, d, beat)
}

// rehash is has for a file that is not to be taken for what it was.
func (c *cache) rehash(ctx context.Context, d release.Digest, beat func()) (bool, error) {
	path := c.path(d)
	began := time.Now()
	err := c.check(ctx, d, path, sha256.New(), 0, beat)
	var wrong *digestError
	switch {
	case errors.As(err, &wrong):
		c.log.Error("cached artifact is corrupt and removed", zap.Stringer("sha256", d), zap.Error(err))
		return false, c.discard(d)
	case err != nil:
		return false, err
	}
	c.log.Info("cached artifact hashed again", zap.Stringer("sha256", d), zap.Duration("took", time.Since(began)))
	return true, c.state.putVerified(d, path)
}

// adopt checks a finished download, of which head has hashed the front, and
// gives it its name. The caller has the turn. On a wrong digest the file is
// removed.
func (c *cache) adopt(ctx context.Context, d release.Digest, head *headHash, beat func()) error {
	part, path := c.partPath(d), c.path(d)
	sum, n, err := head.finish(ctx, beat)
	if err != nil {
		return err
	}
	err = c.check(ctx, d, part, sum, n, beat)
	var wrong *digestError
	if errors.As(err, &wrong) && n > 0 {
		// Something may have been written again behind the head.
		err = c.check(ctx, d, part, sha256.New(), 0, beat)
	}
	if errors.As(err, &wrong) {
		return errors.Join(err, c.discard(d))
	}
	if err != nil {
		return err
	}
	// Not synced: what a crash of the machine takes from it is found out, since
	// the boot id differs then.
	if err := errors.Join(os.Chmod(part, cacheMode), os.Rename(part, path)); err != nil {
		return fmt.Errorf("place artifact: %w", err)
	}
	if err := store.RemoveIfThere(swarm.JournalPath(part)); err != nil {
		return fmt.Errorf("place artifact: %w", err)
	}
	return c.state.putVerified(d, path)
}

// offer hands a cached artifact to the swarm. Without its torrent, which only
// a lost state folder explains, it is not offered.
func (c *cache) offer(d release.Digest) {
	torrent, meta, ok := c.state.torrent(d)
	if !ok {
		c.log.Warn("cached artifact has no torrent and is not offered", zap.Stringer("sha256", d))
		return
	}
	if err := c.swarm.Seed(torrent, c.path(d)); err != nil {
		c.log.Error("could not offer artifact", zap.Stringer("infohash", meta.InfoHash), zap.Error(err))
	}
}

// withdraw ends the artifact's part in the swarm.
func (c *cache) withdraw(d release.Digest) {
	if _, meta, ok := c.state.torrent(d); ok {
		c.swarm.Drop(meta.InfoHash)
	}
}

// discard removes an artifact's files, whole or in part, after withdrawing it.
// The caller has the turn.
func (c *cache) discard(d release.Digest) error {
	c.withdraw(d)
	var trouble error
	for _, path := range c.files(d) {
		trouble = errors.Join(trouble, store.RemoveIfThere(path))
	}
	return trouble
}

// isNeeded reports whether d must stay. As long as nobody has said what is
// needed, all is.
func (c *cache) isNeeded(d release.Digest) bool {
	needed := c.needed.Load()
	return needed == nil || (*needed)[d]
}

// drop removes an artifact and all that is known of it, unless somebody holds
// or needs it.
func (c *cache) drop(d release.Digest) error {
	c.mu.Lock()
	if c.entries[d] != nil || c.isNeeded(d) {
		c.mu.Unlock()
		return nil
	}
	// Who comes for it from here on waits for the turn, and finds it gone.
	e := &entry{holders: 1, turn: make(chan struct{}, 1)}
	e.turn <- struct{}{}
	c.entries[d] = e
	c.mu.Unlock()
	err := errors.Join(c.discard(d), c.state.forget(d))
	<-e.turn
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.holders--; e.holders == 0 {
		delete(c.entries, d)
	}
	return err
}

// digestError says that a file is not the artifact that it should be.
type digestError struct{ want, got release.Digest }

// Error implements error.
func (e *digestError) Error() string {
	return fmt.Sprintf("artifact's sha256 is %s, want %s", e.got, e.want)
}

// check hashes a file from offset on, sum having what is before, and calls beat as
// it goes.
func (c *cache) check(ctx context.Context, want release.Digest, path string, sum hash.Hash, offset int64, beat func()) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	defer f.Close()
	if _, err := f.Seek(offset, io.SeekStart); err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	if _, err := io.CopyBuffer(sum, &beating{ctx, f, beat}, make([]byte, readBuffer)); err != nil {
		return fmt.Errorf("read artifact: %w", err)
	}
	if got := release.Digest(sum.Sum(nil)); got != want {
		return &digestError{want, got}
	}
	return nil
}
