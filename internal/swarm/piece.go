package swarm

import (
	"encoding/binary"
	"hash/maphash"
	"io"
	"sync"

	"github.com/anacrolix/torrent/storage"
)

// piece is a piece's part of the file.
type piece struct {
	file           *file
	index          int
	offset, length int64
}

// ReadAt READS NOTHING: b stays as it is, with whatever is in the client's buffer.
// The client calls it for uploads alone, and an upload's bytes are read when they
// are sent (upload.go): conn.Write takes of a piece frame only which block it is.
// What hashes a piece calls WriteTo. All that is done here is to say no for a file
// that has changed, so that the client refuses the request.
func (p piece) ReadAt(b []byte, off int64) (int, error) {
	if err := p.file.unchanged(); err != nil {
		return 0, err
	}
	if rest := p.length - off; int64(len(b)) > rest {
		return int(max(0, rest)), io.EOF
	}
	return len(b), nil
}

// WriteAt implements io.WriterAt within the piece.
func (p piece) WriteAt(b []byte, off int64) (int, error) {
	return p.file.data.WriteAt(b, p.offset+off)
}

// WriteTo hands the piece to the hasher in large reads.
func (p piece) WriteTo(w io.Writer) (int64, error) {
	b := hashBuffers.Get().(*[hashRead]byte)
	defer hashBuffers.Put(b)
	n, err := io.CopyBuffer(w, io.NewSectionReader(p.file.data, p.offset, p.length), b[:])
	if err != nil || n < p.length {
		p.file.unread(p.index)
	}
	return n, err
}

// sumSeed is of this process: nobody can make up two blocks with the same sum.
var sumSeed = maphash.MakeSeed()

// sums are a sum of each block of a piece; nil if it can't be read.
func (f *file) sums(index int, block int64) (all []uint64) {
	begin := int64(index) * f.meta.PieceLength
	end := min(begin+f.meta.PieceLength, f.meta.Size)
	b := make([]byte, block)
	for at := begin; at < end; at += block {
		part := b[:min(block, end-at)]
		if _, err := f.data.ReadAt(part, at); err != nil {
			return nil
		}
		all = append(all, maphash.Bytes(sumSeed, part))
	}
	return all
}

// hashRead is how much of a piece is read at a time to be hashed, in bytes: few
// calls, and still in the processor's cache when it is hashed.
const hashRead = 128 << 10

// hashBuffers keeps them from being allocated, and cleared, for each piece.
var hashBuffers = sync.Pool{New: func() any { return new([hashRead]byte) }}

// Completion implements storage.PieceImpl.
func (p piece) Completion() storage.Completion {
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	state := p.file.states[p.index]
	return storage.Completion{Ok: state != pieceUnchecked, Complete: state == pieceComplete}
}

// MarkComplete implements storage.PieceImpl: the piece's hash was verified.
func (p piece) MarkComplete() error {
	f := p.file
	f.judged(p.index, true)
	f.mu.Lock()
	defer f.mu.Unlock()
	before := f.states[p.index]
	f.states[p.index] = pieceComplete
	if before == pieceUnchecked {
		f.local.Add(p.length)
	}
	if f.journal == nil || before != pieceMissing {
		return nil
	}
	_, err := f.journal.Write(binary.LittleEndian.AppendUint32(nil, uint32(p.index)))
	return err
}

// MarkNotComplete implements storage.PieceImpl. The journal may still name the
// piece; it is hashed again before anyone relies on that.
func (p piece) MarkNotComplete() error {
	p.file.judged(p.index, false) // before it is asked for again: its blocks are still there
	p.file.mu.Lock()
	defer p.file.mu.Unlock()
	if p.file.states[p.index] == pieceMissing {
		p.file.rejected.Add(1)
	}
	p.file.states[p.index] = pieceMissing
	return nil
}
