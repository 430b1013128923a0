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

// linkRate is what the hosts of these tests send and receive at most, in bytes a
// second: limits stand for links.
const linkRate = 8 << 20

// makespan has hosts equal hosts fetch an artifact of size bytes, and one more
// that troubled makes a misfit of when half the time has passed. It returns how
// long the equal ones took.
func makespan(t *testing.T, hosts, size int, troubled func(*Swarm)) time.Duration {
	t.Helper()
	artifact := randomArtifact(size)
	torrentFile := makeTorrent(t, artifact)
	m, err := ParseTorrent(torrentFile)
	if err != nil {
		t.Fatal(err)
	}
	seeder := node(t, RoleSeeder, "127.0.1.1")
	seeder.SetLimits(linkRate, linkRate)
	addrs := []netip.AddrPort{seeder.Addr()}
	var peers []*Swarm
	for i := range hosts + 1 {
		p := node(t, RolePeer, fmt.Sprintf("127.0.1.%d", i+2))
		p.SetLimits(linkRate, linkRate)
		peers, addrs = append(peers, p), append(addrs, p.Addr())
	}
	if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var equal, rest sync.WaitGroup
	begun := time.Now()
	for i, p := range peers {
		rest.Go(func() {
			for tick := time.Tick(300 * time.Millisecond); ctx.Err() == nil; <-tick { // as a tracker would
				p.AddNeighbours(m.InfoHash, slices.Concat(addrs[i+2:], addrs[:i+1]))
			}
		})
		path := filepath.Join(t.TempDir(), "part")
		if i == hosts {
			rest.Go(func() { _ = p.Fetch(ctx, torrentFile, path, func(Progress) {}) })
			continue
		}
		equal.Go(func() {
			if err := p.Fetch(ctx, torrentFile, path, func(Progress) {}); err != nil {
				t.Errorf("host %d: %v", i, err)
			}
		})
	}
	half := time.AfterFunc(time.Duration(size)*time.Second/linkRate/2, func() { troubled(peers[hosts]) })
	equal.Wait()
	took := time.Since(begun)
	half.Stop()
	cancel()
	rest.Wait()
	return took
}

// A host that stalls in mid-transfer keeps what it was shown, and what others
// asked it for, for as long as such things may take, and no longer.
func TestOneHostsTroubleCostsTheOthersLittle(t *testing.T) {
	const hosts, size = 5, 24 << 20
	const cost = 5 * time.Second // minGrace and late pieces take 3; the rest is for a busy machine
	even := makespan(t, hosts, size, func(*Swarm) {})
	for name, troubled := range map[string]func(*Swarm){
		"it becomes slow": func(s *Swarm) { s.SetLimits(linkRate/10, linkRate/10) },
		"it stalls":       func(s *Swarm) { s.SetLimits(1, 1) },
		"it goes":         func(s *Swarm) { s.client.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			took := makespan(t, hosts, size, troubled)
			t.Logf("%s, without trouble %s", took, even)
			if took > even+cost {
				t.Errorf("the others took %s, without trouble %s", took, even)
			}
		})
	}
}
