package rollout

import (
	"cmp"
	"slices"

	"crow/internal/release"
)

// Turns is the order in which hosts go live, as indexes: each zone has its part
// in every wave. Zones are those of the hosts, which are sorted by name.
func Turns(zones []string) []int {
	size, seen := map[string]int{}, map[string]int{}
	for _, z := range zones {
		size[z]++
	}
	turns, place := make([]int, len(zones)), make([]float64, len(zones))
	for i, z := range zones {
		turns[i], place[i] = i, (float64(seen[z])+0.5)/float64(size[z])
		seen[z]++
	}
	slices.SortStableFunc(turns, func(a, b int) int {
		return cmp.Or(cmp.Compare(place[a], place[b]), cmp.Compare(zones[a], zones[b]))
	})
	return turns
}

// TurnsBack is the order in which hosts go back, by their rows in the deploy that
// failed. Those whose hook or check still runs are first: they serve nobody, whatever
// else is decided, so they have to be among those that are down at once. Then come those
// that failed, which are down too, and those that were told and may be; then those that
// serve.
func TurnsBack(zones []string, rows []Row) []int {
	turns := Turns(zones)
	slices.SortStableFunc(turns, func(a, b int) int { return cmp.Compare(rows[a].serves(), rows[b].serves()) })
	return turns
}

// serves is how far a host that went live is from serving: 0 is at it, 1 has failed to, or
// was only told, 2 serves.
func (r Row) serves() int {
	switch {
	case r.Begun && !r.Phase.Ended():
		return 0
	case r.Phase != release.Active:
		return 1
	}
	return 2
}

// Permitted says which hosts may go live: those of the open waves, no more at once
// than the program allows. Who has begun goes on, whatever is held.
func Permitted(p Program, c Course, stands []Stand) []bool {
	may := make([]bool, len(stands))
	busy, lingering := p.Aside, 0
	for i, s := range stands {
		may[i] = s.Begun
		if s.Begun && !s.Shown().Phase.Ended() {
			busy++
		}
		lingering += s.lingering()
	}
	if c.Wave == 0 {
		return may
	}
	for _, i := range p.queue(p.WaveEnds[c.Wave-1], stands) {
		s := stands[i]
		own := s.lingering()
		switch {
		case may[i] || c.Hold != HoldNone && !s.Retry:
		case s.Shown().Phase.Ended():
			// It has had its turn, or missed it: with a bound it may not take that as soon
			// as it is back, when others of its rack are too, or have its place.
			may[i] = p.HostsAtOnce == 0 || s.Phase.Ended()
		case p.HostsAtOnce == 0 || (own == 1 || s.Told) && busy < p.HostsAtOnce || busy+lingering < p.HostsAtOnce:
			may[i] = true
			busy++
			lingering -= own
		}
	}
	return may
}

// lingering is how many places a host takes by what an earlier order lets it do.
func (s Stand) lingering() int {
	if s.Lingers && !s.Begun && !s.Shown().Phase.Ended() {
		return 1
	}
	return 0
}

// told is 1 of a host that may go live by what was decided last, else 0.
func (s Stand) told() int {
	if s.Told {
		return 1
	}
	return 0
}

// queue is the order in which the first hosts of all turns get a place among those
// that go live at once. Who has one keeps it. Then who was told last is first: one that
// was told before has fallen silent, and may be back by now. Then come those that are
// down already, by an earlier order.
func (p Program) queue(first int, stands []Stand) []int {
	queue := p.Turns[:first]
	if p.HostsAtOnce == 0 {
		return queue
	}
	queue = slices.Clone(queue)
	slices.SortStableFunc(queue, func(a, b int) int {
		a, b = b, a // what is most is first
		return cmp.Or(stands[a].told()-stands[b].told(), stands[a].Let.Compare(stands[b].Let), stands[a].lingering()-stands[b].lingering())
	})
	return queue
}

// HadTurns reports whether every host has had its turn to go live, or missed it.
func HadTurns(p Program, c Course, stands []Stand, may []bool) bool {
	if c.Hold != HoldNone || c.Wave < len(p.WaveEnds) {
		return false
	}
	for i, s := range stands {
		if !may[i] && !s.Shown().Phase.Ended() {
			return false
		}
	}
	return true
}
