package swarm

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// board is a tracker that names one address to everyone, and notes what it is told.
// The first so many announces get no answer, or an error.
type board struct {
	*httptest.Server
	names         netip.AddrPort
	silent, fails int

	mu   sync.Mutex
	told []string
}

func newBoard(t *testing.T, names netip.AddrPort, silent, fails int) *board {
	b := &board{names: names, silent: silent, fails: fails}
	b.Server = httptest.NewServer(b)
	t.Cleanup(b.Close)
	return b
}

// ServeHTTP implements http.Handler.
func (b *board) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	b.told = append(b.told, r.URL.Query().Get("event"))
	n := len(b.told)
	b.mu.Unlock()
	switch {
	case n <= b.silent:
		<-r.Context().Done()
	case n <= b.fails:
		http.Error(w, "out of order", http.StatusInternalServerError)
	default:
		ip := b.names.Addr().As4()
		fmt.Fprintf(w, "d8:intervali60e5:peers6:%se", binary.BigEndian.AppendUint16(ip[:], b.names.Port()))
	}
}

func (b *board) events() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(b.told), func(e string) bool { return e == "" })
}

const always = 1 << 20

// fetchBy has a peer fetch from a seeder that trackers name, and returns how long it
// took to hear of it.
func fetchBy(t *testing.T, trackers func(seeder netip.AddrPort) []*board) time.Duration {
	t.Helper()
	artifact := randomArtifact(1 << 20)
	torrentFile := makeTorrent(t, artifact)
	m, _ := ParseTorrent(torrentFile)
	seeder, peer := node(t, RoleSeeder, "127.0.0.1"), node(t, RolePeer, "127.0.0.2")
	if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	var urls []string
	for _, b := range trackers(seeder.Addr()) {
		urls = append(urls, b.URL)
	}
	peer.SetTrackers(urls)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	begun := time.Now()
	heard := make(chan time.Duration, 1)
	go func() {
		tr := awaitTransfer(ctx, peer, m.InfoHash)
		for tick := time.Tick(time.Millisecond); ctx.Err() == nil && !tr.knows(seeder.Addr()); <-tick {
		}
		heard <- time.Since(begun)
	}()
	if err := peer.Fetch(ctx, torrentFile, filepath.Join(t.TempDir(), "part"), func(Progress) {}); err != nil {
		t.Error(err)
	}
	return <-heard
}

func (t *transfer) knows(a netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.known, a)
}

// A tracker that is dead, slow to come or forgetful keeps no transfer from its
// neighbours.
func TestLostAnswersStallNothing(t *testing.T) {
	for name, c := range map[string]struct {
		trackers func(t *testing.T, seeder netip.AddrPort) []*board
		within   time.Duration
	}{
		"one never answers beside a good one": {func(t *testing.T, seeder netip.AddrPort) []*board {
			return []*board{newBoard(t, seeder, always, 0), newBoard(t, seeder, 0, 0)}
		}, time.Second},
		"two never answer beside a good one": {func(t *testing.T, seeder netip.AddrPort) []*board {
			return []*board{newBoard(t, seeder, always, 0), newBoard(t, seeder, always, 0), newBoard(t, seeder, 0, 0)}
		}, time.Second},
		"one refuses beside a good one": {func(t *testing.T, seeder netip.AddrPort) []*board {
			return []*board{newBoard(t, seeder, 0, always), newBoard(t, seeder, 0, 0)}
		}, time.Second},
		"one answers the second time": {func(t *testing.T, seeder netip.AddrPort) []*board {
			return []*board{newBoard(t, seeder, 1, 0)}
		}, 3 * time.Second},
		"one fails the first time": {func(t *testing.T, seeder netip.AddrPort) []*board {
			return []*board{newBoard(t, seeder, 0, 1)}
		}, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			took := fetchBy(t, func(seeder netip.AddrPort) []*board { return c.trackers(t, seeder) })
			if t.Logf("heard of it after %s", took); took > c.within {
				t.Errorf("heard of a neighbour after %s, want %s at most", took, c.within)
			}
		})
	}
}

// Each tracker is told all, also one that was out of order at first.
func TestTrackersAreToldAll(t *testing.T) {
	var all []*board
	fetchBy(t, func(seeder netip.AddrPort) []*board {
		all = []*board{newBoard(t, seeder, 0, 0), newBoard(t, seeder, 0, 1)}
		return all
	})
	await(t, all[0], "started", "completed")
	await(t, all[1], "started", "started", "completed")
}

// await waits until a tracker was told of these events.
func await(t *testing.T, b *board, want ...string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !slices.Equal(b.events(), want); <-time.After(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("a tracker was told %q, want %q", b.events(), want)
		}
	}
}

// A tracker that becomes known in mid-transfer is asked at once.
func TestNewTrackersAreAskedAtOnce(t *testing.T) {
	artifact := randomArtifact(1000)
	torrentFile := makeTorrent(t, artifact)
	peer, other := node(t, RolePeer, "127.0.0.2"), netip.MustParseAddrPort("127.0.0.3:7401")
	first, second := newBoard(t, other, 0, 0), newBoard(t, other, 0, 0)
	peer.SetTrackers([]string{first.URL})
	if err := peer.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	await(t, first, "started")
	peer.SetTrackers([]string{first.URL, second.URL})
	await(t, second, "started")
}
