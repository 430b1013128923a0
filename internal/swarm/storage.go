package swarm

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"

	"github.com/anacrolix/torrent/metainfo"
	"github.com/anacrolix/torrent/storage"
	"golang.org/x/sys/unix"
)

// JournalPath is where Fetch keeps the numbers of the pieces that it has
// verified in the file at path. Whoever removes or renames the file removes the
// journal too.
func JournalPath(path string) string { return path + ".pieces" }

// pieceState is what is known of a piece on disk.
type pieceState uint8

const (
	pieceMissing   pieceState = iota
	pieceUnchecked            // the journal says that it is there; its hash will be checked
	pieceComplete
)

// file is the storage of one torrent: one file under a name that the caller
// chose. It stands in for the library's file storage, which derives names from
// the torrent, maps files into memory and creates them at full length.
type file struct {
	meta     Torrent
	data     *os.File
	journal  *os.File     // nil: complete from the start
	local    atomic.Int64 // bytes that were there already and passed their check
	rejected atomic.Int64 // pieces that arrived and did not match their hash

	// complete is what the file was when its last piece was known to be right;
	// nil until then. onChange is told of reads that find another.
	complete atomic.Pointer[fs.FileInfo]
	onChange func()

	deciding func() // called when the client is about to choose requests, under its lock

	judged func(piece int, right bool) // called when the hash of what arrived is known
	unread func(piece int)             // called when it can't be: reading failed

	mu     sync.Mutex // guards states and the journal's end
	states []pieceState
	front  int // pieces from the first on that are complete without a gap
}

// openComplete opens a file whose pieces are all taken to be there.
func openComplete(path string, m Torrent) (*file, error) {
	data, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open artifact: %w", err)
	}
	fi, err := data.Stat()
	if err == nil && fi.Size() != m.Size {
		err = fmt.Errorf("artifact %s: %d bytes on disk, %d in its torrent", path, fi.Size(), m.Size)
	}
	if err != nil {
		data.Close()
		return nil, err
	}
	f := &file{meta: m, data: data, states: make([]pieceState, m.Pieces)}
	f.complete.Store(&fi)
	for i := range f.states {
		f.states[i] = pieceComplete
	}
	return f, nil
}

// openPartial opens or creates a file to fetch into, reserves its blocks, and
// reads the journal of an earlier life.
func openPartial(path string, m Torrent) (*file, error) {
	data, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open partial artifact: %w", err)
	}
	f := &file{meta: m, data: data, states: make([]pieceState, m.Pieces)}
	if err := f.prepare(path, m.Size); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *file) prepare(path string, size int64) error {
	if err := reserve(f.data, size); err != nil {
		return fmt.Errorf("reserve %d bytes for %s: %w", size, path, err)
	}
	var err error
	if f.journal, err = os.OpenFile(JournalPath(path), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644); err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	return f.readJournal()
}

// reserve allocates the file's blocks, so that a full disk is seen now and not
// in mid-transfer. A file system that can't do it gets a sparse file. What lies
// beyond size, from another torrent's life, is cut off.
func reserve(data *os.File, size int64) error {
	if err := data.Truncate(size); err != nil {
		return err
	}
	err := unix.Fallocate(int(data.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

// journalEntry is the length of a piece's number in the journal, in bytes. A
// torn last entry, from a kill in mid-write, is passed over and overwritten by
// nothing: it only makes one number wrong, and every piece that the journal
// names is hashed before it is believed.
const journalEntry = 4

func (f *file) readJournal() error {
	b, err := io.ReadAll(io.LimitReader(f.journal, int64(len(f.states))*journalEntry*2))
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	for len(b) >= journalEntry {
		if i := binary.LittleEndian.Uint32(b); int(i) < len(f.states) {
			f.states[i] = pieceUnchecked
		}
		b = b[journalEntry:]
	}
	if len(b) == 0 {
		return nil
	}
	fi, err := f.journal.Stat()
	if err != nil {
		return fmt.Errorf("read journal: %w", err)
	}
	return f.journal.Truncate(fi.Size() - int64(len(b)))
}

// seal gives up writing: a complete artifact may be a program, and the kernel
// refuses to run a file that anybody has open for writing (ETXTBSY). The
// read-only file takes over the descriptor, so that reads under way go on.
func (f *file) seal() error {
	data, err := os.Open(f.data.Name())
	if err != nil {
		return fmt.Errorf("reopen artifact: %w", err)
	}
	defer data.Close()
	// Control keeps the descriptor from being closed, and its number from being
	// given to another file, meanwhile.
	raw, err := f.data.SyscallConn()
	if err != nil {
		return fmt.Errorf("reopen artifact: %w", err)
	}
	var dupErr error
	err = raw.Control(func(fd uintptr) { dupErr = unix.Dup3(int(data.Fd()), int(fd), unix.O_CLOEXEC) })
	fi, statErr := data.Stat()
	if err = cmp.Or(err, dupErr, statErr); err != nil {
		return fmt.Errorf("reopen artifact: %w", err)
	}
	f.complete.Store(&fi)
	return nil
}

// Close implements io.Closer.
func (f *file) Close() error {
	err := f.data.Close()
	if f.journal != nil {
		err = errors.Join(err, f.journal.Close())
	}
	if errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

// errChanged is why a complete file is no longer offered: somebody wrote to it.
// Neighbours would find its pieces damaged and turn away from this node.
var errChanged = errors.New("the artifact's file has changed since it was offered")

func (f *file) unchanged() error {
	was := f.complete.Load()
	if was == nil {
		return nil
	}
	fi, err := f.data.Stat()
	if err != nil {
		return err
	}
	if fi.Size() == (*was).Size() && fi.ModTime().Equal((*was).ModTime()) {
		return nil
	}
	f.onChange()
	return errChanged
}

// OpenTorrent implements storage.ClientImpl. The client has shown the torrent to nobody yet,
// so that this is the place to make its tree of files cheap.
func (f *file) OpenTorrent(_ context.Context, info *metainfo.Info, _ metainfo.Hash) (storage.TorrentImpl, error) {
	info.FileTree = flat(info.FileTree)
	// The client asks how much room there is whenever it chooses what to request, and
	// has no other call for that.
	room := func() (int64, bool) { f.deciding(); return 0, false }
	return storage.TorrentImpl{
		Capacity: &room,
		Piece:    func(p metainfo.Piece) storage.PieceImpl { return piece{f, p.Index(), p.Offset(), p.Length()} },
		Close:    f.Close,
	}, nil
}

// frontLen is how many bytes from the start are verified without a gap.
func (f *file) frontLen() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.front < len(f.states) && f.states[f.front] == pieceComplete {
		f.front++
	}
	return min(int64(f.front)*f.meta.PieceLength, f.meta.Size)
}

// missing returns the first pieces that are not complete, at most so many.
func (f *file) missing(most int) (pieces []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := 0; i < len(f.states) && len(pieces) < most; i++ {
		if f.states[i] != pieceComplete {
			pieces = append(pieces, i)
		}
	}
	return pieces
}

// noStorage is the storage of torrents that have none of their own: there are
// no such torrents.
type noStorage struct{}

// OpenTorrent implements storage.ClientImpl.
func (noStorage) OpenTorrent(context.Context, *metainfo.Info, metainfo.Hash) (storage.TorrentImpl, error) {
	return storage.TorrentImpl{}, errors.New("the torrent has no storage")
}
