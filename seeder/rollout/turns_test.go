package rollout

import (
	"slices"
	"strings"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

func TestTurnsSpreadOverZones(t *testing.T) {
	zones := strings.Split("a a a a a a b b c", " ")
	turns := Turns(zones)
	sorted := slices.Sorted(slices.Values(turns))
	for i := range sorted {
		if sorted[i] != i {
			t.Fatalf("turns are %v: not each host once", turns)
		}
	}
	seen := map[string]int{}
	for n, i := range turns {
		seen[zones[i]]++
		for zone, size := range map[string]int{"a": 6, "b": 2, "c": 1} {
			fair := float64((n+1)*size) / float64(len(zones))
			if diff := float64(seen[zone]) - fair; diff > 1 || diff < -1 {
				t.Errorf("after %d turns zone %s had %d, its part is %.1f", n+1, zone, seen[zone], fair)
			}
		}
	}
}

// Hosts that are down go back before those that serve, and zone by zone among their like.
func TestTurnsBack(t *testing.T) {
	row := func(p release.Phase, begun bool) Row {
		return Row{HostStatus: control.HostStatus{Phase: p}, Live: true, Begun: begun}
	}
	rows := []Row{
		row(release.Active, true), row(release.Active, true), row(release.Active, true), row(release.Failed, true),
		row(release.Staged, false), // it is to try again
		row(release.Activating, true),
	}
	if turns := TurnsBack(strings.Split("a a b b b b", " "), rows); !slices.Equal(turns, []int{5, 3, 4, 2, 0, 1}) {
		t.Errorf("they go back in turns %v", turns)
	}
}

// Hosts outside the count take places of those that go live at once.
func TestLateHostsTakePlaces(t *testing.T) {
	p := testProgram(4, release.Rollout{HostsAtOnce: 2})
	for aside, want := range map[int]string{0: "1100", 1: "1000", 2: "0000", 3: "0000"} {
		p.Aside = aside
		if o := Decide(p, Course{Began: t0}, sinceT0, lineup("ssss"), t0); letters(o.May) != want {
			t.Errorf("%d others: who may: %s, want %s", aside, letters(o.May), want)
		}
	}
}

// Hosts that an earlier order keeps down take places, and are the first to have one.
func TestWhoLingersTakesAPlace(t *testing.T) {
	for _, test := range []struct {
		stands, lingering string
		atOnce            int
		want              string
	}{
		{"ssss", "0000", 1, "1000"},
		{"ssss", "0010", 1, "0010"},
		{"ssss", "0011", 1, "0010"},
		{"ssss", "0010", 2, "1010"},
		{"ssss", "0111", 2, "0110"},
		{"sxss", "0100", 1, "1100"}, // it has failed at this order: it is down by none before
		{"gsss", "0001", 1, "1000"}, // one goes live by this order, and has the place
		{"gsss", "0001", 2, "1001"},
		{"ssss", "1111", 0, "1111"},
	} {
		p := testProgram(4, release.Rollout{HostsAtOnce: test.atOnce, MaxFailures: share("100%")})
		stands := lineup(test.stands)
		for i := range stands {
			stands[i].Lingers = test.lingering[i] == '1'
		}
		if o := Decide(p, Course{Began: t0}, sinceT0, stands, t0); letters(o.May) != test.want {
			t.Errorf("%s, by an earlier order %s, %d at once: who may: %s, want %s", test.stands, test.lingering, test.atOnce, letters(o.May), test.want)
		}
	}
}
