package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"crow/internal/release"
	"crow/internal/swarm"
)

// chunk is how much a copier copies at a time, in bytes.
const chunk = 32 << 10

// copier is a node whose swarm is the file system: it copies artifacts out of
// a warehouse, chunk by chunk, with a journal to resume by. It checks nothing
// that it copies.
type copier struct {
	from warehouse
	// gate, if set, is called before each chunk, and may wait.
	gate func(ctx context.Context, infohash release.Digest, offset int64) error
	// damaged makes the first chunk arrive over and over, and never right.
	damaged atomic.Bool

	mu       sync.Mutex
	active   map[release.Digest]bool
	offered  map[release.Digest]bool
	fetches  map[release.Digest]int   // calls of Fetch
	copied   map[release.Digest]int64 // bytes
	hints    map[release.Digest][]netip.AddrPort
	trackers []string
	limits   Limits
}

func newCopier(from warehouse) *copier {
	return &copier{
		from: from, active: map[release.Digest]bool{}, offered: map[release.Digest]bool{},
		fetches: map[release.Digest]int{}, copied: map[release.Digest]int64{}, hints: map[release.Digest][]netip.AddrPort{},
	}
}

func (c *copier) Fetch(ctx context.Context, torrent []byte, path string, update func(swarm.Progress)) error {
	meta, err := swarm.ParseTorrent(torrent)
	if err != nil {
		return err
	}
	if err := c.begin(meta.InfoHash); err != nil {
		return err
	}
	err = c.copy(ctx, meta, path, update)
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.active, meta.InfoHash)
	c.offered[meta.InfoHash] = err == nil
	return err
}

func (c *copier) begin(infohash release.Digest) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.active[infohash] || c.offered[infohash] {
		return fmt.Errorf("torrent %s is under way already", infohash)
	}
	c.active[infohash] = true
	c.fetches[infohash]++
	return nil
}

func (c *copier) copy(ctx context.Context, meta swarm.Torrent, path string, update func(swarm.Progress)) error {
	src, err := os.Open(c.from.path(meta.InfoHash))
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer dst.Close()
	had := journal(path)
	for n := int64(0); c.damaged.Load(); n++ {
		update(swarm.Progress{Done: chunk * (n % 2), Size: meta.Size, Rejected: n / 2, Neighbours: 1})
		if pause(ctx, time.Millisecond) != nil {
			return ctx.Err()
		}
	}
	for off := had; off < meta.Size; off += chunk {
		if c.gate != nil {
			if err := c.gate(ctx, meta.InfoHash, off); err != nil {
				return err
			}
		}
		n, err := io.Copy(io.NewOffsetWriter(dst, off), io.NewSectionReader(src, off, chunk))
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.copied[meta.InfoHash] += n
		c.mu.Unlock()
		if err := os.WriteFile(swarm.JournalPath(path), binary.LittleEndian.AppendUint64(nil, uint64(off+n)), 0o600); err != nil {
			return err
		}
		update(swarm.Progress{Bytes: release.Bytes{Local: had, Seeder: off + n - had}, Done: off + n, Size: meta.Size})
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	update(swarm.Progress{Bytes: release.Bytes{Local: had, Seeder: meta.Size - had}, Done: meta.Size, Size: meta.Size})
	return nil
}

func journal(path string) int64 {
	b, err := os.ReadFile(swarm.JournalPath(path))
	if err != nil || len(b) != 8 {
		return 0
	}
	return int64(binary.LittleEndian.Uint64(b))
}

func (c *copier) Seed(torrent []byte, path string) error {
	meta, err := swarm.ParseTorrent(torrent)
	if err != nil {
		return err
	}
	if fi, err := os.Stat(path); err != nil || fi.Size() != meta.Size {
		return errors.Join(errors.New("not a complete file"), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.offered[meta.InfoHash] = true
	return nil
}

func (c *copier) Drop(infohash release.Digest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.offered, infohash)
}

func (c *copier) AddNeighbours(infohash release.Digest, addrs []netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hints[infohash] = append(c.hints[infohash], addrs...)
}

// SetLimits only remembers them.
func (c *copier) SetLimits(upload, download release.Rate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.limits = Limits{upload, download}
}

func (c *copier) SetTrackers(urls []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trackers = urls
}

func (c *copier) Addr() netip.AddrPort { return netip.MustParseAddrPort("127.0.0.1:7401") }

func (c *copier) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func (c *copier) isOffered(infohash release.Digest) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offered[infohash]
}

func (c *copier) fetchCount(infohash release.Digest) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fetches[infohash]
}

func (c *copier) bytesCopied(infohash release.Digest) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.copied[infohash]
}

func (c *copier) hintsFor(infohash release.Digest) []netip.AddrPort {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hints[infohash]
}

// door is a gate that lets offsets below a limit through until it is opened.
type door struct {
	limit   int64
	reached chan struct{} // closed when somebody waits
	opened  chan struct{}
	once    sync.Once
}

func newDoor(limit int64) *door {
	return &door{limit: limit, reached: make(chan struct{}), opened: make(chan struct{})}
}

func (d *door) open() { close(d.opened) }

func (d *door) pass(ctx context.Context, _ release.Digest, offset int64) error {
	if offset < d.limit {
		return nil
	}
	d.once.Do(func() { close(d.reached) })
	select {
	case <-d.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
