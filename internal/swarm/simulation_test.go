package swarm

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// simSeeds is how many swarms the numbers are means of: neighbours that are
// drawn luckily make more than a tenth of a difference.
const simSeeds = 5

// run lets time pass until something holds.
func (s *simulation) run(t *testing.T, until func() bool) {
	t.Helper()
	for !until() {
		if s.step(); s.now.Sub(at(0)) > 20*s.alone() {
			t.Fatal("the swarm stands still")
		}
	}
}

// alone is how long one host takes by itself, over plain HTTP.
func (s *simulation) alone() time.Duration { return time.Duration(s.pieces) * blockTime }

func (n *simNode) complete() bool { return n.lacks == 0 }

func (n *simNode) halfway() bool { return n.lacks < n.pieces/2 }

// equal is the hosts but one that is not like them.
func (s *simulation) equal(misfit *simNode) []*simNode {
	return slices.DeleteFunc(slices.Clone(s.hosts), func(n *simNode) bool { return n == misfit })
}

// finish lets the hosts complete, but for one that is not waited for, and
// returns the time of the slowest, as a ratio to one alone.
func (s *simulation) finish(t *testing.T, misfit *simNode) (makespan float64) {
	t.Helper()
	equal := s.equal(misfit)
	s.run(t, func() bool {
		return !slices.ContainsFunc(equal, func(n *simNode) bool { return !n.complete() })
	})
	for _, n := range equal {
		makespan = max(makespan, s.ratio(n))
	}
	return makespan
}

func (s *simulation) ratio(n *simNode) float64 { return float64(n.took) / float64(s.alone()) }

// copies is how often the seeder sent the artifact.
func (s *simulation) copies() float64 { return float64(s.sent) / float64(s.pieces) }

// The bounds are what the decisions were seen to give, and some two hundredths.
func TestSimulatedSwarmIsFast(t *testing.T) {
	for _, c := range []struct {
		hosts, pieces           int
		makespan, copies, twice float64 // at most
	}{
		{1, 128, 1.01, 1, 0},
		{2, 128, 1.02, 1, 0},
		{16, 128, 1.28, 1.02, 0.03},
		{16, 512, 1.12, 1.02, 0.03},
		{48, 256, 1.29, 1.02, 0.05},
	} {
		t.Run(fmt.Sprintf("%d hosts, %d pieces", c.hosts, c.pieces), func(t *testing.T) {
			var makespan, copies, twice float64
			for seed := range uint64(simSeeds) {
				s := newSimulation(seed, c.hosts, c.pieces)
				makespan += s.finish(t, nil) / simSeeds
				copies += s.copies() / simSeeds
				twice += float64(s.twice) / float64(c.hosts*c.pieces) / simSeeds
			}
			t.Logf("makespan %.3f, %.3f copies sent, %.3f received twice", makespan, copies, twice)
			if makespan > c.makespan || copies > c.copies || twice > c.twice {
				t.Errorf("want %.2f, %.2f, %.2f at most", c.makespan, c.copies, c.twice)
			}
		})
	}
}

// A host that is slow, that vanishes or that comes late costs the others little.
func TestSimulatedSwarmBearsMisfits(t *testing.T) {
	for name, c := range map[string]struct {
		befalls func(t *testing.T, s *simulation) (misfit *simNode)
		most    float64 // of the others' makespan, to what it is among equals
		misfit  float64 // the misfit's own time at most, as a ratio to one alone
	}{
		"one at a tenth of the rate": {func(_ *testing.T, s *simulation) *simNode {
			s.hosts[7].rate /= 10
			return s.hosts[7]
		}, 1.24, 0}, // on shaped links it is 1.02: a simulated uploader keeps its slots for the slow one
		"one vanishes halfway": {func(t *testing.T, s *simulation) *simNode {
			n := s.hosts[7]
			s.run(t, n.halfway)
			s.leave(n)
			return nil
		}, 1.03, 0},
		"one comes halfway": {func(t *testing.T, s *simulation) *simNode {
			s.run(t, s.hosts[7].halfway)
			return s.join()
		}, 1.03, 1.15},
		"one comes when all is over": {func(t *testing.T, s *simulation) *simNode {
			s.finish(t, nil)
			return s.join()
		}, 1.001, 1.10},
	} {
		t.Run(name, func(t *testing.T) {
			var among, others, own, copies float64
			for seed := range uint64(simSeeds) {
				among += newSimulation(seed, 16, 128).finish(t, nil) / simSeeds
				s := newSimulation(seed, 16, 128)
				misfit := c.befalls(t, s)
				others += s.finish(t, misfit) / simSeeds
				if c.misfit > 0 {
					s.run(t, misfit.complete)
					own += s.ratio(misfit) / simSeeds
				}
				copies += s.copies() / simSeeds
			}
			t.Logf("makespan of the others %.3f of what it is among equals, its own time %.3f, %.3f copies sent", others/among, own, copies)
			if others > c.most*among || own > c.misfit {
				t.Errorf("want %.3f and %.2f at most", c.most, c.misfit)
			}
		})
	}
}

func TestSimulationIsRepeatable(t *testing.T) {
	if a, b := newSimulation(1, 16, 64).finish(t, nil), newSimulation(1, 16, 64).finish(t, nil); a != b {
		t.Errorf("the same swarm took %v and %v", a, b)
	}
}
