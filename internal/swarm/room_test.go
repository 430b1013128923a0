package swarm

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// crowd is a seeder and hosts, each of which fetches all of some artifacts at once.
type crowd struct {
	seeder   *Swarm
	hosts    []*Swarm
	torrents [][]byte
}

// newCrowd is of artifacts of size bytes, which the seeder sends at a rate that
// keeps everyone busy for some seconds.
func newCrowd(t *testing.T, hosts, artifacts, size int) *crowd {
	t.Helper()
	c := &crowd{seeder: node(t, RoleSeeder, "127.0.2.1")}
	c.seeder.SetLimits(linkRate, 0)
	for i := range hosts {
		c.hosts = append(c.hosts, node(t, RolePeer, fmt.Sprintf("127.0.2.%d", i+2)))
	}
	for i := range artifacts {
		artifact := randomArtifact(size)
		artifact[0] = byte(i)
		c.torrents = append(c.torrents, makeTorrent(t, artifact))
		if err := c.seeder.Seed(c.torrents[i], writeFile(t, artifact)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// hint has a host know of all others, as trackers would, until ctx ends.
func (c *crowd) hint(ctx context.Context, host int) {
	var addrs []netip.AddrPort
	for _, h := range c.hosts {
		addrs = append(addrs, h.Addr())
	}
	for tick := time.Tick(300 * time.Millisecond); ctx.Err() == nil; {
		for k, b := range c.torrents {
			m, _ := ParseTorrent(b)
			from := (host + k) % len(addrs)
			c.hosts[host].AddNeighbours(m.InfoHash, slices.Concat([]netip.AddrPort{c.seeder.Addr()}, addrs[from:], addrs[:from]))
		}
		select {
		case <-tick:
		case <-ctx.Done():
		}
	}
}

// peaks is the most connections that a node was seen to have.
type peaks struct{ joined, open int }

func (p *peaks) look(s *Swarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	joined := 0
	for _, t := range s.transfers {
		t.mu.Lock()
		joined += len(t.conns)
		t.mu.Unlock()
	}
	p.joined, p.open = max(p.joined, joined), max(p.open, int(s.conns.Load()))
}

// watch looks at a node until ctx ends.
func (p *peaks) watch(ctx context.Context, s *Swarm) {
	for tick := time.Tick(time.Millisecond); ctx.Err() == nil; <-tick {
		p.look(s)
	}
}

// fetchAll has each host fetch everything at once, and returns the peaks of the
// seeder and the hosts.
func (c *crowd) fetchAll(t *testing.T) (seeder peaks, hosts []peaks) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var fetches, rest sync.WaitGroup
	hosts = make([]peaks, len(c.hosts))
	rest.Go(func() { seeder.watch(ctx, c.seeder) })
	for i, h := range c.hosts {
		rest.Go(func() { hosts[i].watch(ctx, h) })
		rest.Go(func() { c.hint(ctx, i) })
		dir := t.TempDir()
		for k, b := range c.torrents {
			fetches.Go(func() {
				if err := h.Fetch(ctx, b, filepath.Join(dir, fmt.Sprint(k)), func(Progress) {}); err != nil {
					t.Errorf("host %d, artifact %d: %v", i, k, err)
				}
			})
		}
	}
	begun := time.Now()
	fetches.Wait()
	t.Logf("took %s", time.Since(begun))
	cancel()
	rest.Wait()
	return seeder, hosts
}

// No node has more neighbours than it may, whatever the size of the swarm and the
// number of torrents, and every fetch ends.
func TestNodesHaveFewNeighbours(t *testing.T) {
	for name, c := range map[string]struct{ hosts, artifacts, size, each int }{
		"forty hosts, one torrent":   {40, 1, 4 << 20, maxPeerTransferConns},
		"six hosts, sixteen at once": {6, 16, 2 << 20, maxPeerConns},
		"more torrents than places":  {2, 40, 256 << 10, maxPeerConns},
	} {
		t.Run(name, func(t *testing.T) {
			seeder, hosts := newCrowd(t, c.hosts, c.artifacts, c.size).fetchAll(t)
			var most peaks
			for _, p := range hosts {
				most.joined, most.open = max(most.joined, p.joined), max(most.open, p.open)
			}
			t.Logf("the seeder had %+v, a host %+v", seeder, most)
			if seeder.joined > maxSeederConns || most.joined > c.each {
				t.Errorf("the seeder had %d neighbours, a host %d; want %d and %d at most", seeder.joined, most.joined, maxSeederConns, c.each)
			}
			// Sockets on which handshakes are under way come on top.
			if seeder.open > maxSeederConns+maxGreetingIP || most.open > maxPeerConns+maxGreetingIP+maxKnocks {
				t.Errorf("the seeder had %d connections open, a host %d", seeder.open, most.open)
			}
		})
	}
}
