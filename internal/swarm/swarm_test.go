package swarm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"crow/internal/release"
)

// node is a swarm of the test that runs until the test ends.
func node(t *testing.T, role Role, ip string) *Swarm {
	t.Helper()
	s, err := New(Config{Role: role, Listen: ip + ":0", Advertise: ip, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// awaitTransfer polls until the node knows the torrent.
func awaitTransfer(ctx context.Context, s *Swarm, infohash release.Digest) *transfer {
	for tick := time.Tick(time.Millisecond); ctx.Err() == nil; <-tick {
		if t := s.find(infohash.Short()); t != nil {
			return t
		}
	}
	return nil
}

func writeFile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "artifact")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// fetchAll has every peer fetch at once, each knowing all the others.
func fetchAll(t *testing.T, seeder *Swarm, torrentFile []byte, peers []*Swarm, paths []string) []Progress {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		t.Fatal(err)
	}
	addrs := []netip.AddrPort{seeder.Addr()}
	for _, p := range peers {
		addrs = append(addrs, p.Addr())
	}
	last := make([]Progress, len(peers))
	var wg sync.WaitGroup
	for i, p := range peers {
		wg.Go(func() {
			if err := p.Fetch(ctx, torrentFile, paths[i], func(g Progress) { last[i] = g }); err != nil {
				t.Errorf("peer %d: %v", i, err)
			}
		})
		wg.Go(func() {
			awaitTransfer(ctx, p, m.InfoHash)
			p.AddNeighbours(m.InfoHash, addrs)
		})
	}
	wg.Wait()
	return last
}

func TestSwarmDelivers(t *testing.T) {
	for _, size := range []int{1, 1000, 64 << 10, 64<<10 + 1, 5<<20 + 12345, 100 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			artifact := randomArtifact(size)
			torrentFile := makeTorrent(t, artifact)
			seeder := node(t, RoleSeeder, "127.0.0.1")
			if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
				t.Fatal(err)
			}
			var peers []*Swarm
			var paths []string
			for i := range 3 {
				peers = append(peers, node(t, RolePeer, fmt.Sprintf("127.0.0.%d", i+2)))
				paths = append(paths, filepath.Join(t.TempDir(), "part"))
			}
			for i, p := range fetchAll(t, seeder, torrentFile, peers, paths) {
				got, err := os.ReadFile(paths[i])
				if err != nil || !bytes.Equal(got, artifact) {
					t.Errorf("peer %d: wrong bytes (%v)", i, err)
				}
				if err := os.Chmod(paths[i], 0o755); err != nil {
					t.Fatal(err)
				}
				if err := exec.Command(paths[i]).Run(); errors.Is(err, syscall.ETXTBSY) {
					t.Errorf("peer %d: the artifact is still open for writing", i)
				}
				if p.Done != int64(size) || p.Bytes.Useful() != int64(size) || p.Bytes.Local != 0 {
					t.Errorf("peer %d: progress %+v of %d bytes", i, p, size)
				}
			}
			m, _ := ParseTorrent(torrentFile)
			t.Logf("seeder sent %.2f copies", float64(seeder.Sent(m.InfoHash))/float64(size))
		})
	}
}
