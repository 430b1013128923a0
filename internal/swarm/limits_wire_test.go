package swarm

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/release"
)

// arrived is how many bytes the kernel has taken in for a node's connections, which
// is what its link has carried: more than was read from them.
type arrived struct {
	conns map[*conn]int64
}

func (a *arrived) sum(s *Swarm) (n int64) {
	s.byAlias.Range(func(_, v any) bool {
		c := v.(*conn)
		raw, err := c.raw.(syscall.Conn).SyscallConn()
		if err != nil {
			return true
		}
		_ = raw.Control(func(fd uintptr) {
			if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
				a.conns[c] = int64(info.Bytes_received)
			}
		})
		return true
	})
	for _, b := range a.conns {
		n += b
	}
	return n
}

// sample is how much had arrived by when.
type sample struct {
	at    time.Duration
	bytes int64
}

// worst is the most that came within any span beyond what the limit pays for in it,
// in seconds of the limit, and the mean rate over it all, as a share of the limit.
func worst(history []sample, limit release.Rate) (ahead, mean float64) {
	for i, from := range history {
		for _, to := range history[i:] {
			ahead = max(ahead, float64(to.bytes-from.bytes)/float64(limit)-(to.at-from.at).Seconds())
		}
	}
	first, last := history[0], history[len(history)-1]
	return ahead, float64(last.bytes-first.bytes) / float64(limit) / (last.at - first.at).Seconds()
}

// sources are complete nodes of an artifact, each sending at most at rate.
func sources(t *testing.T, n int, torrentFile []byte, path string, rate release.Rate) (addrs []netip.AddrPort) {
	t.Helper()
	for i := range n {
		p := node(t, RolePeer, fmt.Sprintf("127.0.3.%d", i+2))
		p.SetLimits(rate, 0)
		if err := p.Seed(torrentFile, path); err != nil {
			t.Fatal(err)
		}
		addrs = append(addrs, p.Addr())
	}
	return addrs
}

// watch samples what arrives at a node for so long.
func watch(s *Swarm, a *arrived, long time.Duration) (history []sample) {
	begun := time.Now()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for time.Since(begun) < long {
		history = append(history, sample{time.Since(begun), a.sum(s)})
		<-tick.C
	}
	return history
}

const (
	limitedFor = 3500 * time.Millisecond // that the limit is watched for
	// What neighbours may take to be there, in seconds: a limit ends connections that
	// could bring more than it pays for.
	reconnected = 2.0
)

func TestLowDownloadLimitHoldsOnTheLink(t *testing.T)    { holdsOnTheLink(t, 64<<10) }
func TestMiddleDownloadLimitHoldsOnTheLink(t *testing.T) { holdsOnTheLink(t, 512<<10) }
func TestHighDownloadLimitHoldsOnTheLink(t *testing.T)   { holdsOnTheLink(t, 5<<20) }

// holdsOnTheLink checks that a limit holds for what arrives, not only for what is
// read: from the first second on, with few neighbours and many, and when it is set
// while they send as fast as they can.
func holdsOnTheLink(t *testing.T, limit release.Rate) {
	artifact := randomArtifact(32 << 20)
	torrentFile, path := makeTorrent(t, artifact), writeFile(t, artifact)
	for _, neighbours := range []int{1, 12} {
		for name, before := range map[string]time.Duration{"from the start": 0, "in mid-transfer": time.Second} {
			t.Run(fmt.Sprintf("%d neighbours/%s", neighbours, name), func(t *testing.T) {
				t.Parallel()
				ahead, mean := limitedFetch(t, torrentFile, path, limit, neighbours, before)
				t.Logf("%.2f s ahead of the limit at most, mean %.2f of it", ahead, mean)
				if ahead > 1+limitTolerance+limitSlice/float64(limit) { // the first window that a kernel offers is 64 KiB
					t.Errorf("what arrived was %.2f s ahead of the limit, want a second's worth at most", ahead)
				}
				if least := (1 - limitTolerance) * (1 - reconnected/limitedFor.Seconds()); mean < least {
					t.Errorf("it arrived at %.2f of the limit, want %.2f", mean, least)
				}
			})
		}
	}
}

// limitedFetch has a host fetch from so many sources, without a limit for as long as
// before says, and returns how the limit holds from then on.
func limitedFetch(t *testing.T, torrentFile []byte, path string, limit release.Rate, neighbours int, before time.Duration) (ahead, mean float64) {
	const sourceRate = 8 << 20 // of all sources together
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		t.Fatal(err)
	}
	addrs := sources(t, neighbours, torrentFile, path, release.Rate(sourceRate/neighbours))
	host := node(t, RolePeer, "127.0.3.1")
	if before == 0 {
		host.SetLimits(0, limit)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var jobs sync.WaitGroup
	defer jobs.Wait()
	defer cancel()
	part := filepath.Join(t.TempDir(), "part")
	jobs.Go(func() { _ = host.Fetch(ctx, torrentFile, part, func(Progress) {}) })
	jobs.Go(func() {
		for tick := time.Tick(100 * time.Millisecond); ctx.Err() == nil; <-tick { // as a tracker would
			host.AddNeighbours(m.InfoHash, addrs)
		}
	})
	a := &arrived{map[*conn]int64{}}
	watch(host, a, before)
	host.SetLimits(0, limit)
	return worst(watch(host, a, limitedFor), limit)
}
