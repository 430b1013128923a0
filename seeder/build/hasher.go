package build

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io/fs"
	"runtime"
	"sync"

	"github.com/anacrolix/torrent/merkle"

	"crow/internal/control"
	"crow/internal/release"
)

const (
	// blockLen is the size of one buffer, in bytes: enough that handing it
	// over costs nothing, and that the first one holds the beginning of an
	// archive even if zstd made it one block (128 KiB); small enough that it
	// is still in a cache when it is read the second time.
	blockLen = 256 << 10
	spans    = blockLen / spanLen

	// maxWorkers bounds the workers, and so the buffers. One core has the
	// SHA-256 of the whole to do, which is as much work as the tree is: more
	// workers than a few would wait for it.
	maxWorkers = 8
	// spareBlocks are filled and waited for while workers are busy.
	spareBlocks = 4
)

// Result is what a Hasher found of an artifact.
type Result struct {
	control.Blob
	// Torrent is bencoded (BEP 3, 52): version 2 only, private, without
	// trackers, and the same whenever the content is the same.
	Torrent []byte
}

// Hasher is an io.Writer that finds in one pass all that a release says of its
// artifact. Its memory stays at a few MiB whatever is written. It is safe for
// concurrent use, since an HTTP transport may still read a body, and so write
// here, when its caller has given up; the order of writes is the content.
type Hasher struct {
	mu     sync.Mutex
	ring   []*block // used in turn, so that blocks finish in the order of the content
	turn   int      // in ring: the block that is being filled
	size   int64    // bytes written
	layer  layer
	format release.Format
	err    error   // sticky: why it takes no more
	result *Result // of Sum

	whole   hash.Hash // touched by its goroutine alone until that has ended
	toWhole chan *block
	toTree  chan *block
	workers sync.WaitGroup
	stopped bool
}

// block is a piece of the content on its way through the workers.
type block struct {
	data    [blockLen]byte
	n       int            // bytes in data
	roots   [spans]digest  // of the spans in data
	pending sync.WaitGroup // the two that read data
}

// NewHasher returns a Hasher and starts its workers; Close or Sum ends them.
func NewHasher() *Hasher {
	n := min(runtime.GOMAXPROCS(0), maxWorkers)
	h := &Hasher{ring: make([]*block, n+spareBlocks), layer: layer{span: spanLen}, whole: sha256.New()}
	for i := range h.ring {
		h.ring[i] = new(block)
	}
	// A channel with room for all blocks never blocks its sender.
	h.toWhole, h.toTree = make(chan *block, len(h.ring)), make(chan *block, len(h.ring))
	h.workers.Go(func() {
		for b := range h.toWhole {
			h.whole.Write(b.data[:b.n]) // never fails (hash.Hash)
			b.pending.Done()
		}
	})
	for range n {
		h.workers.Go(func() {
			for b := range h.toTree {
				b.hashSpans()
				b.pending.Done()
			}
		})
	}
	return h
}

// Write implements io.Writer. It fails once more than release.MaxArtifactSize
// was written, and after Sum or Close.
func (h *Hasher) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil && h.size+int64(len(p)) > release.MaxArtifactSize {
		h.err = fmt.Errorf("%w: over %s", ErrUnusable, release.Size(release.MaxArtifactSize))
	}
	if h.err != nil {
		return 0, h.err
	}
	for rest := p; len(rest) > 0; {
		b := h.ring[h.turn]
		n := copy(b.data[b.n:], rest)
		b.n, h.size, rest = b.n+n, h.size+int64(n), rest[n:]
		if b.n == blockLen {
			h.submit()
		}
	}
	return len(p), nil
}

// submit hands the current block to the workers and takes the next in turn,
// waiting for it if it is still under way.
func (h *Hasher) submit() {
	b := h.ring[h.turn]
	if h.size <= blockLen { // the first
		h.format = formatOf(b.data[:b.n])
	}
	b.pending.Add(2)
	h.toWhole <- b
	h.toTree <- b
	h.turn = (h.turn + 1) % len(h.ring)
	h.collect(h.ring[h.turn])
}

// collect waits for a block and takes over what was found of it.
func (h *Hasher) collect(b *block) {
	b.pending.Wait()
	for at := 0; at < b.n; at += spanLen {
		h.layer.add(b.roots[at/spanLen])
	}
	b.n = 0
}

// Sum ends the content and the workers, and returns what was found. Called
// again it returns the same. No content at all is an error that wraps
// ErrUnusable; the error of a failed Write, or of Close, stays.
func (h *Hasher) Sum() (Result, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.result != nil {
		return *h.result, nil
	}
	if h.err != nil {
		return Result{}, h.err
	}
	h.finish()
	h.err = fs.ErrClosed // of writes that follow
	if h.size == 0 {
		return Result{}, fmt.Errorf("%w: it is empty", ErrUnusable)
	}
	result, err := h.describe()
	if err != nil {
		return Result{}, err
	}
	h.result = &result
	return result, nil
}

// finish collects all blocks in the order of the content and ends the workers.
func (h *Hasher) finish() {
	if h.ring[h.turn].n > 0 {
		h.submit()
	}
	for range h.ring {
		h.collect(h.ring[h.turn])
		h.turn = (h.turn + 1) % len(h.ring)
	}
	h.stop()
}

func (h *Hasher) describe() (Result, error) {
	length := release.PieceLengthFor(h.size)
	pieces := h.layer.pieces(length)
	if h.size <= spanLen {
		// The whole content is still in the first block. A tree this small
		// ends at its own height, not at that of a piece (BEP 52).
		pieces = []digest{merkle.RootWithPadHash(leaves(h.ring[0].data[:h.size]), digest{})}
	}
	b := control.Blob{SHA256: release.Digest(h.whole.Sum(nil)), Size: h.size, Format: h.format, PieceLength: length}
	torrent, infohash, err := torrentOf(b, pieces)
	b.InfoHash = infohash
	return Result{Blob: b, Torrent: torrent}, err
}

// Close ends the workers. It is needed where Sum is not reached, and does no
// harm behind it.
func (h *Hasher) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err == nil {
		h.err = fs.ErrClosed
	}
	h.stop()
}

func (h *Hasher) stop() {
	if h.stopped {
		return
	}
	h.stopped = true
	close(h.toWhole)
	close(h.toTree)
	h.workers.Wait()
}
