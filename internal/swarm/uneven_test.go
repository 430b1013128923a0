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

// trouble is what becomes of one more host, when so much of the ideal time has passed.
type trouble struct {
	after  float64 // 0: from the start
	befall func(*Swarm)
}

// makespan has hosts equal hosts fetch an artifact of size bytes, and one more that
// is a misfit, if there is trouble. It returns how long the equal ones took.
func makespan(t *testing.T, hosts, size int, misfit *trouble) time.Duration {
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
	all := hosts
	if misfit != nil {
		all++
	}
	for i := range all {
		p := node(t, RolePeer, fmt.Sprintf("127.0.1.%d", i+2))
		p.SetLimits(linkRate, linkRate)
		peers, addrs = append(peers, p), append(addrs, p.Addr())
	}
	if misfit != nil && misfit.after == 0 {
		misfit.befall(peers[hosts])
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
	if misfit != nil && misfit.after > 0 {
		due := time.AfterFunc(time.Duration(misfit.after*float64(size)/linkRate*float64(time.Second)), func() { misfit.befall(peers[hosts]) })
		defer due.Stop()
	}
	equal.Wait()
	took := time.Since(begun)
	cancel()
	rest.Wait()
	return took
}

func slow(s *Swarm) { s.SetLimits(linkRate/10, linkRate/10) }

// A host with a tenth of the others' link costs these a tenth of their time at most.
// What it costs is the time in the end until a piece that it keeps to itself counts
// as late, so the artifact takes ten. The machine is noisy: what is measured once may
// be of it, but not three times.
func TestSlowHostDoesNotSlowTheOthers(t *testing.T) {
	const hosts, size, tries = 5, 80 << 20, 3
	const cost = 1.1
	best := 0.0
	for range tries {
		even := makespan(t, hosts, size, nil)
		took := makespan(t, hosts, size, &trouble{befall: slow})
		ratio := took.Seconds() / even.Seconds()
		t.Logf("%s, without the slow one %s: %.2f", took, even, ratio)
		if ratio <= cost {
			return
		}
		if best == 0 || ratio < best {
			best = ratio
		}
	}
	t.Errorf("the others took %.2f of what they take without the slow one, want %.2f at most", best, cost)
}

// A host that comes into trouble in mid-transfer keeps what it was shown, and what
// others asked it for, for as long as such things may take, and no longer.
func TestOneHostsTroubleCostsTheOthersLittle(t *testing.T) {
	const hosts, size = 5, 24 << 20
	even := makespan(t, hosts, size, nil)
	for name, c := range map[string]struct {
		befall func(*Swarm)
		cost   time.Duration
	}{
		"it becomes slow": {slow, minGrace},
		"it stalls":       {func(s *Swarm) { s.SetLimits(1, 1) }, minGrace + minLate},
		"it goes":         {func(s *Swarm) { s.client.Close() }, minGrace},
	} {
		t.Run(name, func(t *testing.T) {
			took := makespan(t, hosts, size, &trouble{0.5, c.befall})
			t.Logf("%s, without trouble %s", took, even)
			if took > even+c.cost {
				t.Errorf("the others took %s, without trouble %s", took, even)
			}
		})
	}
}
