package swarm

import (
	"context"
	"net/netip"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"crow/internal/release"
)

// limitTolerance is how far a limited rate may be from its limit.
const limitTolerance = 0.1

// fetchTimed has one host fetch an artifact of size bytes from a seeder alone,
// calls begun as it begins, and returns how long it took, and the most bytes
// that arrived within any second.
func fetchTimed(t *testing.T, seeder, peer *Swarm, size int, begun func()) (took time.Duration, burst int64) {
	t.Helper()
	artifact := randomArtifact(size)
	torrentFile := makeTorrent(t, artifact)
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sampled := make(chan int64)
	done := make(chan struct{})
	go func() {
		transfer := awaitTransfer(ctx, peer, m.InfoHash)
		peer.AddNeighbours(m.InfoHash, []netip.AddrPort{seeder.Addr()})
		begun()
		sampled <- mostInASecond(transfer, done)
	}()
	start := time.Now()
	if err := peer.Fetch(ctx, torrentFile, filepath.Join(t.TempDir(), "part"), func(Progress) {}); err != nil {
		t.Fatal(err)
	}
	took = time.Since(start)
	close(done)
	return took, <-sampled
}

// mostInASecond watches what a transfer receives.
func mostInASecond(t *transfer, done <-chan struct{}) int64 {
	const step = 50 * time.Millisecond
	var history []int64
	most := int64(0)
	for tick := time.Tick(step); ; {
		select {
		case <-tick:
			history = append(history, t.counts.fromPeer.Load()+t.counts.fromSeeder.Load())
			last := len(history) - 1
			most = max(most, history[last]-history[max(0, last-int(time.Second/step))])
		case <-done:
			return most
		}
	}
}

func TestLimitsHold(t *testing.T) {
	const limit, size = 4 << 20, 12 << 20
	for name, c := range map[string]struct{ upload, download release.Rate }{
		"upload":   {upload: limit},
		"download": {download: limit},
	} {
		t.Run(name, func(t *testing.T) {
			seeder, peer := node(t, RoleSeeder, "127.0.0.1"), node(t, RolePeer, "127.0.0.2")
			seeder.SetLimits(c.upload, 0)
			peer.SetLimits(0, c.download)
			took, burst := fetchTimed(t, seeder, peer, size, func() {})
			want := float64(size) / limit
			if got := took.Seconds(); got < want*(1-limitTolerance) || got > want*(1+limitTolerance)+0.3 { // a start takes its time
				t.Errorf("took %.2f s, want %.2f s", got, want)
			}
			if burst > 2*limit {
				t.Errorf("%d bytes arrived within a second, want a second's worth more than %d at most", burst, limit)
			}
			t.Logf("took %.2f s of %.2f s, at most %d bytes in a second", took.Seconds(), want, burst)
		})
	}
}

// A limit of less than one request a second is no series of bursts either.
func TestLowLimitIsSmooth(t *testing.T) {
	const limit = 96 << 10
	seeder, peer := node(t, RoleSeeder, "127.0.0.1"), node(t, RolePeer, "127.0.0.2")
	seeder.SetLimits(limit, 0)
	took, burst := fetchTimed(t, seeder, peer, 256<<10, func() {})
	if burst > 2*limit || took < 2*time.Second {
		t.Errorf("took %s with at most %d bytes in a second, limit %d", took, burst, limit)
	}
}

func TestLimitsChangeWhileRunning(t *testing.T) {
	const low, size = 1 << 20, 64 << 20 // a minute's worth
	seeder, peer := node(t, RoleSeeder, "127.0.0.1"), node(t, RolePeer, "127.0.0.2")
	seeder.SetLimits(low, 0)
	peer.SetLimits(0, low)
	took, _ := fetchTimed(t, seeder, peer, size, func() {
		<-time.After(1500 * time.Millisecond)
		seeder.SetLimits(0, 0)
		peer.SetLimits(0, 0)
	})
	if took < 1500*time.Millisecond || took > 15*time.Second {
		t.Errorf("took %s: want little more than the second and a half under the limit", took)
	}
	took, _ = fetchTimed(t, seeder, peer, 8<<20+1, func() { seeder.SetLimits(2<<20, 0) })
	if took < 3*time.Second {
		t.Errorf("took %s although limited from its beginning", took)
	}
}

func TestWindowUnderALimit(t *testing.T) {
	for _, c := range []struct {
		rate  release.Rate
		conns int
		want  int
	}{
		{0, 10, openWindow},
		{50 << 20, 10, 50 << 20 / 4 / 10},
		{50 << 20, 0, 50 << 20 / 4},
		{1 << 10, 10, minWindow},
		{1 << 60, 1, openWindow},
	} {
		if got := newLimit(c.rate).window(c.conns); got != c.want {
			t.Errorf("%d bytes a second, %d connections: window %d, want %d", c.rate, c.conns, got, c.want)
		}
	}
}

// Who waits under a low limit goes on when it is lifted.
func TestLiftedLimitFreesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimit(1) // a byte a second
		if !l.wait(limitSlice, nil) {
			t.Fatal("the first slice is the burst")
		}
		began, went := time.Now(), make(chan bool)
		go func() { went <- l.wait(limitSlice, nil) }()
		time.Sleep(time.Second)
		l.set(0)
		if !<-went || time.Since(began) != time.Second {
			t.Errorf("went on after %s", time.Since(began))
		}
		l.set(1 << 10)
		done := make(chan struct{})
		go func() { went <- l.wait(limitSlice, done) }()
		time.Sleep(time.Second)
		close(done)
		if <-went {
			t.Error("a closed connection went on")
		}
	})
}
