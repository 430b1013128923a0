package swarm

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"crow/internal/release"
)

// slowSeeder offers an artifact at a rate that leaves time to break in.
func slowSeeder(t *testing.T, artifact, torrentFile []byte, rate release.Rate) *Swarm {
	t.Helper()
	s, err := New(Config{
		Role: RoleSeeder, Listen: "127.0.0.1:0", Advertise: "127.0.0.1", Upload: rate, Log: zaptest.NewLogger(t),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	if err := s.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	return s
}

// fetchFrom fetches from one neighbour until stop says so of the progress, or
// the end.
func fetchFrom(t *testing.T, torrentFile []byte, path string, from netip.AddrPort, stop func(*Swarm, *transfer) bool) (Progress, error) {
	t.Helper()
	p, err := New(Config{Role: RolePeer, Listen: "127.0.0.2:0", Advertise: "127.0.0.2", Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	life, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); p.Run(life) }()
	defer func() { end(); <-done }()
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	go func() {
		tr := awaitTransfer(ctx, p, m.InfoHash)
		p.AddNeighbours(m.InfoHash, []netip.AddrPort{from})
		for tick := time.Tick(time.Millisecond); ctx.Err() == nil && !stop(p, tr); <-tick {
		}
		cancel()
	}()
	var last Progress
	err = p.Fetch(ctx, torrentFile, path, func(g Progress) { last = g })
	return last, err
}

// completed counts the verified pieces.
func (f *file) completed() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.states {
		if s == pieceComplete {
			n++
		}
	}
	return n
}

func never(*Swarm, *transfer) bool { return false }

func TestFetchResumes(t *testing.T) {
	artifact := randomArtifact(8 << 20)
	torrentFile := makeTorrent(t, artifact)
	path := filepath.Join(t.TempDir(), "part")
	slow := slowSeeder(t, artifact, torrentFile, 8<<20)

	_, err := fetchFrom(t, torrentFile, path, slow.Addr(), func(_ *Swarm, tr *transfer) bool {
		return tr.file.completed() > 3<<20/release.MinPieceLength // verified: blocks of unfinished pieces don't count
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("first fetch: %v, want it cancelled", err)
	}
	journal, err := os.ReadFile(JournalPath(path))
	if err != nil || len(journal) < 3<<20/release.MinPieceLength*journalEntry {
		t.Fatalf("journal of %d bytes (%v), want the pieces of 3 MiB", len(journal), err)
	}

	g, err := fetchFrom(t, torrentFile, path, slow.Addr(), never)
	if err != nil {
		t.Fatal(err)
	}
	assertContent(t, path, artifact)
	if g.Bytes.Local < 3<<20 || g.Bytes.Local+g.Bytes.Received()-g.Bytes.Wasted != int64(len(artifact)) {
		t.Errorf("bytes %+v: want 3 MiB or more to be local", g.Bytes)
	}
	// a few blocks may be asked for twice; a verified piece must not be
	if most := int64(len(artifact)) - g.Bytes.Local; g.Bytes.Received() > most+most/10 {
		t.Errorf("received %d bytes again, %d were missing", g.Bytes.Received(), most)
	}
}

func TestFetchMendsCorruptPieces(t *testing.T) {
	artifact := randomArtifact(4 << 20)
	torrentFile := makeTorrent(t, artifact)
	path := filepath.Join(t.TempDir(), "part")
	damaged := bytes.Clone(artifact)
	damaged[70<<10] ^= 1 // in piece 1
	if err := os.WriteFile(path, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	var journal []byte // names every piece, one beyond the end, and a torn entry
	for i := range len(artifact)/release.MinPieceLength + 1 {
		journal = binary.LittleEndian.AppendUint32(journal, uint32(i))
	}
	if err := os.WriteFile(JournalPath(path), append(journal, 7), 0o644); err != nil {
		t.Fatal(err)
	}

	seeder := slowSeeder(t, artifact, torrentFile, 0)
	g, err := fetchFrom(t, torrentFile, path, seeder.Addr(), never)
	if err != nil {
		t.Fatal(err)
	}
	assertContent(t, path, artifact)
	if want := int64(len(artifact) - release.MinPieceLength); g.Bytes.Local != want {
		t.Errorf("local %d bytes, want %d: all but the damaged piece", g.Bytes.Local, want)
	}
}

func TestFetchWithoutJournalTrustsNothing(t *testing.T) {
	artifact := randomArtifact(1 << 20)
	torrentFile := makeTorrent(t, artifact)
	path := writeFile(t, artifact)
	seeder := slowSeeder(t, artifact, torrentFile, 0)
	g, err := fetchFrom(t, torrentFile, path, seeder.Addr(), never)
	if err != nil || g.Bytes.Local != 0 {
		t.Errorf("fetch: %v, %+v; want all of it fetched", err, g.Bytes)
	}
	assertContent(t, path, artifact)
}

func TestSeedRefusesFileOfOtherSize(t *testing.T) {
	torrentFile := makeTorrent(t, randomArtifact(1<<20))
	s := node(t, RoleSeeder, "127.0.0.1")
	if err := s.Seed(torrentFile, writeFile(t, []byte("short"))); err == nil {
		t.Error("a file of another size was offered")
	}
	if err := s.Seed([]byte("d4:spam4:eggse"), "/nowhere"); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("a bad torrent: %v, want ErrInvalid", err)
	}
}

func assertContent(t *testing.T, path string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: wrong content (%v)", path, err)
	}
}

// A file that somebody writes to is not offered any more, and offered again it
// is what the caller has verified meanwhile.
func TestChangedFileIsDropped(t *testing.T) {
	artifact := randomArtifact(2 << 20)
	torrentFile := makeTorrent(t, artifact)
	dropped := make(chan release.Digest, 1)
	s, err := New(Config{
		Role: RoleSeeder, Listen: "127.0.0.1:0", Advertise: "127.0.0.1", Log: zaptest.NewLogger(t),
		Dropped: func(d release.Digest) { dropped <- d },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	path := writeFile(t, artifact)
	if err := s.Seed(torrentFile, path); err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(artifact)
	damaged[1000] ^= 1
	if err := os.WriteFile(path, damaged, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	m, _ := ParseTorrent(torrentFile)
	_, err = fetchFrom(t, torrentFile, filepath.Join(t.TempDir(), "part"), s.Addr(), func(*Swarm, *transfer) bool {
		return s.find(m.InfoHash.Short()) == nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("fetch of a damaged artifact: %v", err)
	}
	if got := <-dropped; got != m.InfoHash {
		t.Errorf("dropped %s", got)
	}
	if err := os.WriteFile(path, artifact, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := s.Seed(torrentFile, path); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "part")
	if _, err := fetchFrom(t, torrentFile, to, s.Addr(), never); err != nil {
		t.Fatal(err)
	}
	assertContent(t, to, artifact)
}
