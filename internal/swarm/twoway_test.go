package swarm

import (
	"context"
	"encoding/binary"
	"io"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"
)

// partial is an artifact of which a host has every second piece from an earlier life.
func partial(t *testing.T, artifact []byte, m Torrent, first int) (path string) {
	t.Helper()
	path = writeFile(t, artifact)
	var journal []byte
	for i := first; i < m.Pieces; i += 2 {
		journal = binary.LittleEndian.AppendUint32(journal, uint32(i))
	}
	if err := os.WriteFile(JournalPath(path), journal, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// What a host under an upload limit asks for, and what it tells, does not wait for
// what it uploads: to the neighbour that it downloads from itself, either.
func TestUploadLimitDoesNotSlowTheDownload(t *testing.T) {
	const rate, size = 8 << 20, 32 << 20
	artifact := randomArtifact(size)
	torrentFile := makeTorrent(t, artifact)
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		t.Fatal(err)
	}
	limited, other := node(t, RolePeer, "127.0.0.2"), node(t, RolePeer, "127.0.0.3")
	limited.SetLimits(64<<10, 0)
	other.SetLimits(rate, 0) // stands for its link
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	var rest sync.WaitGroup
	defer rest.Wait()
	defer cancel()
	theirs := partial(t, artifact, m, 1)
	rest.Go(func() { _ = other.Fetch(ctx, torrentFile, theirs, func(Progress) {}) }) // takes minutes
	rest.Go(func() {
		awaitTransfer(ctx, other, m.InfoHash)
		for tick := time.Tick(100 * time.Millisecond); ctx.Err() == nil; <-tick {
			limited.AddNeighbours(m.InfoHash, []netip.AddrPort{other.Addr()})
		}
	})
	begun := time.Now()
	if err := limited.Fetch(ctx, torrentFile, partial(t, artifact, m, 0), func(Progress) {}); err != nil {
		t.Fatal(err)
	}
	took, ideal := time.Since(begun), time.Duration(size/2)*time.Second/rate
	t.Logf("took %s of %s, and sent %d bytes", took, ideal, limited.Sent(m.InfoHash))
	if took > ideal*13/10+500*time.Millisecond { // it hashes what it has first
		t.Errorf("took %s, want little more than %s", took, ideal)
	}
	if limited.Sent(m.InfoHash) == 0 {
		t.Error("it sent nothing meanwhile")
	}
}

// However much a neighbour has asked for, what is told beside pieces goes out now,
// and what it takes back is not sent.
func TestNothingWaitsBehindTheOutbox(t *testing.T) {
	artifact := randomArtifact(8 << 20)
	m := Torrent{Size: int64(len(artifact)), PieceLength: 8 << 20, Pieces: 1}
	c, _, other := uplinked(t, writeFile(t, artifact), m)
	c.asked.fast = true
	c.swarm.SetLimits(1, 0)
	frames := []byte{}
	for begin := 0; begin < len(artifact); begin += requestSize { // sixteen times what fits into the socket
		frames = append(frames, upload{begin: uint32(begin), length: requestSize}.appendHead(nil)...)
		frames = append(frames, make([]byte, requestSize)...)
	}
	have := frame(frameHave, "\x00\x00\x00\x07")
	if _, err := c.Write(append(frames, have...)); err != nil {
		t.Fatal(err)
	}
	last := blockFrame(frameCancel, 0, 8<<20-requestSize, requestSize)
	c.withdraw(last[headLen:])
	_ = other.SetReadDeadline(time.Now().Add(10 * time.Second))
	got := make([]byte, len(have)+len(last))
	if _, err := io.ReadFull(other, got); err != nil {
		t.Fatal(err)
	}
	if got[lengthLen] != frameHave || got[len(have)+lengthLen] != frameReject {
		t.Errorf("got %x", got)
	}
}
