package swarm

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// load is one of several artifacts that the same hosts fetch at once.
type load struct {
	torrent []byte
	meta    Torrent
}

// loads are so many artifacts that the seeder offers, all others.
func loads(t *testing.T, seeder *Swarm, n, size int) (all []load) {
	t.Helper()
	for i := range n {
		artifact := randomArtifact(size + i)[i:]
		l := load{torrent: makeTorrent(t, artifact)}
		m, err := ParseTorrent(l.torrent)
		if err != nil {
			t.Fatal(err)
		}
		l.meta = m
		if err := seeder.Seed(l.torrent, writeFile(t, artifact)); err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
	return all
}

// Transfers at once share the seeder's uplink: none waits for another to be done.
func TestTransfersShareTheUplink(t *testing.T) {
	const rate, size, transfers, hosts = 4 << 20, 6 << 20, 3, 6
	const slack = 1.15 // for the start, and what the seeder sends twice
	seeder := node(t, RoleSeeder, "127.0.4.1")
	seeder.SetLimits(rate, 0)
	all := loads(t, seeder, transfers, size)
	addrs := []netip.AddrPort{seeder.Addr()}
	var peers []*Swarm
	for i := range hosts {
		p := node(t, RolePeer, fmt.Sprintf("127.0.4.%d", i+2))
		peers, addrs = append(peers, p), append(addrs, p.Addr())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ideal := time.Duration(transfers*size) * time.Second / rate
	var got [transfers]int64 // by all hosts, at half-time
	half := time.NewTimer(ideal / 2)
	var fetches sync.WaitGroup
	begun := time.Now()
	for h, p := range peers {
		for i, l := range all {
			fetches.Go(func() {
				if err := p.Fetch(ctx, l.torrent, filepath.Join(t.TempDir(), "part"), func(Progress) {}); err != nil {
					t.Errorf("host %d, artifact %d: %v", h, i, err)
				}
				if took := time.Since(begun); took > time.Duration(float64(ideal)*slack) {
					t.Errorf("host %d had artifact %d after %s, want %s for all of them", h, i, took, ideal)
				}
			})
			fetches.Go(func() {
				awaitTransfer(ctx, p, l.meta.InfoHash)
				p.AddNeighbours(l.meta.InfoHash, addrs)
			})
		}
	}
	<-half.C
	for i, l := range all {
		for _, p := range peers {
			c := &p.find(l.meta.InfoHash.Short()).counts
			got[i] += c.fromPeer.Load() + c.fromSeeder.Load()
		}
	}
	fetches.Wait()
	t.Logf("took %s of %s; at half-time %d", time.Since(begun), ideal, got)
	for i, a := range got {
		for k, b := range got {
			if a < b/2 {
				t.Errorf("at half-time artifact %d has %d bytes, artifact %d %d", i, a, k, b)
			}
		}
	}
}
