package tracker

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"testing"
)

// numberOf is the i that memberOf made the member of.
func numberOf(m member) int {
	ip := m.addr.Addr().As4()
	return int(ip[1])<<16 | int(ip[2])<<8 | int(ip[3])
}

// swarmOf has the downloaders 0 to d-1 and then s seeds.
func swarmOf(d, s int) *swarm {
	sw := newSwarm(&counts{})
	for i := range d + s {
		r := downloader
		if i >= d {
			r = seed
		}
		sw.put(memberOf(i), r)
	}
	return sw
}

func askerOf(i int, r role) asker {
	m := memberOf(i)
	return asker{id: m.id, addrs: []netip.AddrPort{m.addr}, role: r}
}

func newRand(s uint64) *rand.Rand { return rand.New(rand.NewPCG(s, 0)) }

// roleCounts checks that all chosen are different members of the swarm.
func roleCounts(t *testing.T, s *swarm, chosen []member) counts {
	t.Helper()
	var c counts
	seen := map[netip.AddrPort]bool{}
	for _, m := range chosen {
		p, ok := s.at[m.addr]
		if !ok || seen[m.addr] {
			t.Fatalf("%v: in the swarm %t, chosen before %t", m.addr, ok, seen[m.addr])
		}
		seen[m.addr] = true
		c[p.role]++
	}
	return c
}

func TestChoose(t *testing.T) {
	const all = 30
	for _, test := range []struct {
		name               string
		downloaders, seeds int
		asker              asker
		n                  int
		want               counts // downloaders, seeds
	}{
		{"alone", 1, 0, askerOf(0, downloader), all, counts{0, 0}},
		{"first downloader", 1, 1, askerOf(0, downloader), all, counts{0, 1}},
		{"small swarm: all others", 10, 2, askerOf(0, downloader), all, counts{9, 2}},
		{"only seeds: all of the answer", 1, 100, askerOf(0, downloader), all, counts{0, 30}},
		{"no seed", 100, 0, askerOf(0, downloader), all, counts{30, 0}},
		{"many of both: half and half", 100, 100, askerOf(0, downloader), all, counts{15, 15}},
		{"few downloaders, many seeds", 5, 100, askerOf(0, downloader), all, counts{4, 26}},
		{"few asked for", 100, 100, askerOf(0, downloader), 2, counts{1, 1}},
		{"none asked for", 100, 100, askerOf(0, downloader), 0, counts{0, 0}},
		{"less than none", 100, 100, askerOf(0, downloader), -5, counts{0, 0}},
		{"a seed gets no seeds", 10, 100, askerOf(10, seed), all, counts{10, 0}},
		{"the seeder of a large swarm", 100, 1, askerOf(100, seed), all, counts{30, 0}},
		{"stranger", 10, 0, askerOf(99, downloader), all, counts{10, 0}},
		{"same address, other id", 2, 0, asker{addrs: askerOf(0, downloader).addrs}, all, counts{1, 0}},
		{"same id, other address", 2, 0, asker{id: memberOf(0).id, addrs: []netip.AddrPort{addrOf(77)}}, all, counts{1, 0}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := swarmOf(test.downloaders, test.seeds)
			for i := range uint64(50) {
				chosen := choose(s, test.asker, test.n, newRand(i))
				if got := roleCounts(t, s, chosen); got != test.want {
					t.Fatalf("seed %d: got %v, want %v", i, got, test.want)
				}
				for _, m := range chosen {
					if test.asker.is(m) {
						t.Fatalf("seed %d: the asker got itself", i)
					}
				}
			}
		})
	}
}

func TestChooseIsRepeatable(t *testing.T) {
	s := swarmOf(500, 10)
	first := choose(s, askerOf(3, downloader), 30, newRand(1))
	if again := choose(s, askerOf(3, downloader), 30, newRand(1)); !reflect.DeepEqual(first, again) {
		t.Error("the same seed chose others")
	}
	if other := choose(s, askerOf(3, downloader), 30, newRand(2)); reflect.DeepEqual(first, other) {
		t.Error("another seed chose the same")
	}
}

// Clients dial from the front of an answer: neither role has it for itself.
func TestChooseMixesTheRoles(t *testing.T) {
	s, first := swarmOf(100, 100), counts{}
	for i := range uint64(100) {
		first[s.at[choose(s, askerOf(0, downloader), 30, newRand(i))[0].addr].role]++
	}
	if first[downloader] < 25 || first[seed] < 25 {
		t.Errorf("downloaders and seeds came first %v times of 100", first)
	}
}

// Each member is drawn as often as any other, and the lone seed some n times
// in a round, not by everyone.
func TestChooseIsEven(t *testing.T) {
	const hosts, rounds, n = 300, 100, 30
	s, rng := swarmOf(hosts, 1), newRand(7)
	drawn := map[netip.AddrPort]int{}
	for range rounds {
		for i := range hosts {
			for _, m := range choose(s, askerOf(i, downloader), n, rng) {
				drawn[m.addr]++
			}
		}
	}
	for i := range hosts + 1 {
		// The standard deviation is some 52: five of them.
		if got := drawn[addrOf(i)]; got < rounds*n-260 || got > rounds*n+260 {
			t.Errorf("host %d was handed out %d times, want some %d", i, got, rounds*n)
		}
	}
}

func TestSeedsFor(t *testing.T) {
	for _, test := range []struct {
		n    int
		c    counts
		draw float64
		want int
	}{
		{30, counts{1000, 0}, 0, 0},
		{30, counts{1000, 1}, 0.029, 1}, {30, counts{1000, 1}, 0.031, 0},
		{30, counts{60, 1}, 0.49, 1}, {30, counts{60, 1}, 0.51, 0},
		{30, counts{100, 5}, 0.49, 2}, {30, counts{100, 5}, 0.51, 1},
		{30, counts{10, 1000}, 0.99, 15},
		{30, counts{0, 3}, 0.99, 15},
		{1, counts{5, 5}, 0.49, 1}, {1, counts{5, 5}, 0.51, 0},
	} {
		if got := seedsFor(test.n, test.c, test.draw); got != test.want {
			t.Errorf("%d neighbours of %v, draw %v: got %d, want %d", test.n, test.c, test.draw, got, test.want)
		}
	}
}

// graph is who was handed to whom; a connection goes both ways.
type graph [][]int

func (g graph) join(i int, chosen []member) {
	for _, m := range chosen {
		g.connect(i, numberOf(m))
	}
}

func (g graph) connect(i, j int) { g[i], g[j] = append(g[i], j), append(g[j], i) }

// without is the graph with some hosts gone.
func (g graph) without(gone []bool) graph {
	left := make(graph, len(g))
	for i, neighbours := range g {
		if !gone[i] {
			left[i] = slices.DeleteFunc(slices.Clone(neighbours), func(j int) bool { return gone[j] })
		}
	}
	return left
}

// reach counts the hosts within any distance of host from, and gives the
// largest distance.
func (g graph) reach(from int) (n, depth int) {
	steps := make([]int, len(g)) // and one, where reached
	steps[from] = 1
	for queue := []int{from}; len(queue) > 0; queue = queue[1:] {
		n++
		depth = steps[queue[0]] - 1
		for _, j := range g[queue[0]] {
			if steps[j] == 0 {
				steps[j] = steps[queue[0]] + 1
				queue = append(queue, j)
			}
		}
	}
	return n, depth
}

// The hand-outs of one round of announces connect all hosts with the seeder,
// by few steps: when all know each other's swarm already, and when they come
// one after the other. So they do with far fewer neighbours than the default.
func TestHandOutsConnectTheSwarm(t *testing.T) {
	const hosts = 2000
	for _, n := range []int{8, 30} {
		for try := range uint64(5) {
			t.Run(fmt.Sprintf("%d neighbours, seed %d", n, try), func(t *testing.T) {
				rng := newRand(try)
				together, inTurn := make(graph, hosts+1), make(graph, hosts+1)
				full, growing := swarmOf(hosts, 1), swarmOf(0, 0)
				growing.put(memberOf(hosts), seed)
				for i := range hosts {
					growing.put(memberOf(i), downloader)
					inTurn.join(i, choose(growing, askerOf(i, downloader), n, rng))
					together.join(i, choose(full, askerOf(i, downloader), n, rng))
				}
				for name, g := range map[string]graph{"together": together, "in turn": inTurn} {
					got, depth := g.reach(hosts)
					t.Logf("%s: %d hosts in %d steps", name, got-1, depth)
					if got != hosts+1 || depth > 6 {
						t.Errorf("%s: the seeder reaches %d of %d hosts in %d steps", name, got-1, hosts, depth)
					}
				}
			})
		}
	}
}

func BenchmarkChoose(b *testing.B) {
	s, rng := swarmOf(10_000, 100), newRand(1)
	a := askerOf(5, downloader)
	for b.Loop() {
		choose(s, a, 30, rng)
	}
}
