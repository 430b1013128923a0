package release

import (
	"strings"
	"testing"
)

func TestPhaseNames(t *testing.T) {
	names := strings.Fields("pending fetching verified staged activating active failed")
	checkNames(t, names, func(i uint8) enumeration { return Phase(i) }, func(s string) (uint8, error) {
		var p Phase
		err := p.UnmarshalText([]byte(s))
		return uint8(p), err
	})
	checkNames(t, strings.Fields("running succeeded failed aborted superseded paused"),
		func(i uint8) enumeration { return DeployPhase(i) }, func(s string) (uint8, error) {
			var p DeployPhase
			err := p.UnmarshalText([]byte(s))
			return uint8(p), err
		})
}

// Every pair of values that a phase can have, named or not.
func TestPhaseTransitions(t *testing.T) {
	table := map[Phase]string{ // to: pending, fetching, verified, staged, activating, active, failed
		Pending:    "-xxxxxx",
		Fetching:   "--xxxxx",
		Verified:   "---xxxx",
		Staged:     "----xxx",
		Activating: "-----xx",
		Active:     "-------",
		Failed:     "-------",
	}
	for from := range 256 {
		for to := range 256 {
			row, named := table[Phase(from)]
			want := named && to < len(row) && row[to] == 'x'
			if got := Phase(to).CanFollow(Phase(from)); got != want {
				t.Errorf("%s to %s: %t, want %t", Phase(from), Phase(to), got, want)
			}
		}
	}
}

func TestPhasesEnd(t *testing.T) {
	for p := range Phase(len(phaseNames)) {
		if want := p == Active || p == Failed; p.Ended() != want {
			t.Errorf("%s ended: %t", p, p.Ended())
		}
	}
	for p := range DeployPhase(len(deployPhaseNames)) {
		if want := p != DeployRunning && p != DeployPaused; p.Ended() != want {
			t.Errorf("deploy %s ended: %t", p, p.Ended())
		}
	}
}
