package swarm

import (
	"testing"
	"time"
)

func TestNextToYield(t *testing.T) {
	var a, b, c transfer
	now := at(100)
	// Places are written as the transfer, what this node does with it, and for how many
	// seconds it is held and nothing has moved.
	held := func(of *transfer, seeding bool, since, still int) place {
		return place{of: of, seeding: seeding, since: now.Add(time.Duration(-since) * time.Second), moved: now.Add(time.Duration(-still) * time.Second)}
	}
	fetched := func(of *transfer, still int) place { return held(of, false, 1, still) }
	seeded := func(of *transfer, still int) place { return held(of, true, 1, still) }
	const nobody = -1
	for name, tc := range map[string]struct {
		all     []place
		to      *transfer
		seeding bool
		want    int
	}{
		"there is nobody": {to: &a, want: nobody},
		"one of two that are busy goes to who has none":   {all: []place{fetched(&a, 0), fetched(&a, 1)}, to: &b, want: 1},
		"nobody has more than the other would":            {all: []place{fetched(&a, 0), fetched(&a, 0), fetched(&b, 0)}, to: &b, want: nobody},
		"who has most gives":                              {all: []place{fetched(&a, 2), fetched(&a, 2), fetched(&b, 0), fetched(&b, 1), fetched(&b, 0)}, to: &c, want: 3},
		"an idle one before":                              {all: []place{fetched(&a, 4), fetched(&a, 2), fetched(&b, 0), fetched(&b, 1), fetched(&b, 0)}, to: &c, want: 0},
		"the longest idle one":                            {all: []place{fetched(&a, 4), fetched(&b, 9), fetched(&b, 3)}, to: &c, want: 1},
		"an idle one of its own":                          {all: []place{fetched(&a, 4), fetched(&b, 0)}, to: &a, want: 0},
		"an idle one of its own, not another's last":      {all: []place{fetched(&a, 4), fetched(&b, 9)}, to: &a, want: 0},
		"another's last, if idle, to who has none":        {all: []place{fetched(&a, 4), fetched(&b, 0)}, to: &c, want: 0},
		"seeding gives before fetching":                   {all: []place{fetched(&a, 1), fetched(&a, 1), seeded(&b, 0), seeded(&b, 0)}, to: &c, want: 2},
		"seeding gives its last to who fetches from none": {all: []place{fetched(&a, 1), seeded(&b, 0)}, to: &c, want: 1},
		"but to nobody who fetches already":               {all: []place{fetched(&a, 1), seeded(&b, 9)}, to: &a, want: nobody},
		"fetching gives to seeding, if it has plenty":     {all: []place{fetched(&a, 0), fetched(&a, 0), fetched(&a, 1)}, to: &b, seeding: true, want: 2},
		"but not where it would then have less":           {all: []place{fetched(&a, 0), fetched(&a, 0)}, to: &b, seeding: true, want: nobody},
		"nor its last, even if idle or long there":        {all: []place{held(&a, false, 60, 60)}, to: &b, seeding: true, want: nobody},
		"who had its turn gives to who has none":          {all: []place{held(&a, false, 5, 0), held(&b, false, 6, 0)}, to: &c, want: 1},
		"and not before":                                  {all: []place{held(&a, false, 4, 0), held(&b, false, 4, 0)}, to: &c, want: nobody},
		"among those that are only seeded as well":        {all: []place{held(&a, true, 5, 0), held(&b, true, 6, 0)}, to: &c, seeding: true, want: 1},
		"fetching has its turn where all are fetched":     {all: []place{held(&a, false, 9, 0), held(&b, true, 5, 0)}, to: &c, seeding: true, want: 1},
	} {
		i, ok := nextToYield(tc.all, tc.to, tc.seeding, now)
		if !ok {
			i = nobody
		}
		if i != tc.want {
			t.Errorf("%s: %d yields, want %d", name, i, tc.want)
		}
	}
}

// However many transfers ask for however much, the places come to be shared evenly,
// and then all stay where they are.
func TestPlacesAreSharedEvenly(t *testing.T) {
	const places, transfers, wanted = 30, 7, 20
	var all []place
	n := map[*transfer]int{}
	moves := 0
	ask := func(to *transfer) {
		p := place{of: to, since: at(0), moved: at(0)}
		if len(all) < places {
			all = append(all, p)
		} else if i, ok := nextToYield(all, to, false, at(1)); ok {
			n[all[i].of]--
			all[i] = p
			moves++
		} else {
			return
		}
		n[to]++
	}
	swarm := make([]transfer, transfers)
	for range 10 * wanted {
		for k := range swarm {
			if n[&swarm[k]] < wanted {
				ask(&swarm[k])
			}
		}
	}
	for k := range swarm {
		if got := n[&swarm[k]]; got < places/transfers || got > places/transfers+1 {
			t.Errorf("transfer %d has %d of %d places", k, got, places)
		}
	}
	if moves > places {
		t.Errorf("%d places went from one to another", moves)
	}
}
