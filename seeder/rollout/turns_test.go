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
