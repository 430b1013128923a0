package tracker

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// The rules by which internal/swarm makes connections out of what it is handed.
const (
	dialsAtATime   = 3  // a host dials of each hand-out
	enoughConns    = 10 // with which it dials nobody
	mostConns      = 20 // it refuses more
	mostSeedsConns = 16 // the seeder refuses more
	fewConns       = 10 // a host with less asks again
	fewestGuests   = 8  // that the seeder ends with
	fewestConns    = 5  // that a host ends with: who came first waits for others to dial it
	mostAnnounces  = 5  // in the time looked at, by a host that finds no more
	mostSteps      = 7  // from the seeder to any host: as many pieces on their way
)

// fleet is hosts, numbered from 0, and a seeder behind the last of them, as
// they announce and connect.
type fleet struct {
	swarm  *swarm
	graph  graph
	seeder int
	named  int // answers that named the seeder
	turned int // dials that the seeder refused
}

// announce hands neighbours to a host, which dials them, from the front. One
// that refuses is not made up for until the next hand-out.
func (f *fleet) announce(i int, rng *rand.Rand) {
	f.swarm.put(memberOf(i), downloader)
	dials := min(dialsAtATime, enoughConns-len(f.graph[i]))
	for _, m := range choose(f.swarm, askerOf(i, downloader), mostConns, rng) {
		j := numberOf(m)
		if j == f.seeder {
			f.named++
		}
		if dials > 0 && !slices.Contains(f.graph[i], j) {
			f.dial(i, j)
			dials--
		}
	}
}

func (f *fleet) dial(i, j int) {
	switch {
	case j == f.seeder && len(f.graph[j]) == mostSeedsConns:
		f.turned++
	case len(f.graph[j]) < mostConns:
		f.graph.connect(i, j)
	}
}

// start has n hosts announce in random order, evenly over so many rounds of a
// hungry host's waiting, and again as long as they have few connections, each
// time after twice as long.
func start(n, rounds int, rng *rand.Rand) *fleet {
	f := &fleet{swarm: swarmOf(0, 0), graph: make(graph, n+1), seeder: n}
	f.swarm.put(memberOf(n), seed)
	asks, due := make([]int, n), map[int][]int{}
	for k, i := range rng.Perm(n) {
		due[k*rounds/n] = append(due[k*rounds/n], i)
	}
	for round := 0; len(due) > 0; round++ {
		for _, i := range due[round] {
			f.announce(i, rng)
			if asks[i]++; asks[i] < mostAnnounces && len(f.graph[i]) < fewConns {
				again := round + 1<<(asks[i]-1)
				due[again] = append(due[again], i)
			}
		}
		delete(due, round)
	}
	return f
}

// The connections that hosts make of their hand-outs stay within their limits
// and hold the swarm together, also when a tenth of the hosts has vanished and
// nobody has announced since.
func TestConnectionsHoldTheSwarmTogether(t *testing.T) {
	for _, hosts := range []int{10, 50, 1000, 10_000} {
		for _, rounds := range []int{1, 20} { // all at once, or over half a minute
			for try := range uint64(3) {
				t.Run(fmt.Sprintf("%d hosts, %d rounds, seed %d", hosts, rounds, try), func(t *testing.T) {
					rng := newRand(try)
					f := start(hosts, rounds, rng)
					f.checkLimits(t)
					f.checkReach(t, 0, rng)
					for range 5 {
						f.checkReach(t, hosts/10, rng)
					}
				})
			}
		}
	}
}

func (f *fleet) checkLimits(t *testing.T) {
	t.Helper()
	fewest, most, sum := mostConns, 0, 0
	for _, neighbours := range f.graph[:f.seeder] {
		fewest, most, sum = min(fewest, len(neighbours)), max(most, len(neighbours)), sum+len(neighbours)
	}
	ofSeeder := len(f.graph[f.seeder])
	t.Logf("%d to %d connections, %d on average; the seeder has %d, was named %d times and refused %d",
		fewest, most, sum/f.seeder, ofSeeder, f.named, f.turned)
	if most > mostConns || fewest < min(fewestConns, f.seeder) {
		t.Errorf("hosts have %d to %d connections, want %d to %d", fewest, most, fewestConns, mostConns)
	}
	// The k-th host to come is handed it with a chance of mostConns/k, and many ask twice.
	if often := 3.5 * mostConns * (1 + math.Log(float64(f.seeder)/mostConns)); f.seeder > mostConns && float64(f.named) > often {
		t.Errorf("the seeder was named %d times, want %.0f at most", f.named, often)
	}
	if ofSeeder > mostSeedsConns || ofSeeder < min(fewestGuests, f.seeder) {
		t.Errorf("the seeder has %d connections, want %d to %d", ofSeeder, fewestGuests, mostSeedsConns)
	}
}

// checkReach has the seeder reach all hosts, after some have vanished.
func (f *fleet) checkReach(t *testing.T, vanished int, rng *rand.Rand) {
	t.Helper()
	gone := make([]bool, f.seeder+1)
	for _, i := range rng.Perm(f.seeder)[:vanished] {
		gone[i] = true
	}
	got, depth := f.graph.without(gone).reach(f.seeder)
	if got-1 != f.seeder-vanished || depth > mostSteps {
		t.Errorf("with %d hosts gone the seeder reaches %d of the rest in %d steps", vanished, got-1, depth)
	}
}
