package seeder

import (
	"fmt"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func share(text string) *release.Share {
	s, err := release.ParseShare(text)
	if err != nil {
		panic(err)
	}
	return &s
}

var halves = []release.Share{release.Percent(50), release.Percent(100)}

// TestOutcomesOfWaves holds that waves of a deploy which has ended do not wait: they
// have ended, were cut off, or were never reached.
func TestOutcomesOfWaves(t *testing.T) {
	thirds := []release.Share{release.Percent(33), release.Percent(66), release.Percent(100)}
	d := fleetOf(t, 6)
	second := d.startAs(release.Rollout{Waves: thirds}, "2", "name=*")
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "1")
	}
	first := second.waveOf()
	for name, wave := range first {
		if wave == 1 {
			d.tells(name, second, control.JobReport{Phase: release.Active}, "2")
		}
	}
	d.pass(time.Second)
	outcomes := func() (text string) {
		for _, w := range d.shown(second.ID).Waves {
			text += fmt.Sprintf("%s/%s ", w.State, w.Outcome)
		}
		return text
	}
	if got := outcomes(); got != "ended/ open/ waiting/ " {
		t.Fatalf("while it runs: %s", got)
	}
	d.must(second.ID, control.Steer{Verb: control.VerbAbort})
	if got := outcomes(); got != "ended/ended waiting/unfinished waiting/not_reached " {
		t.Errorf("once it has ended: %s", got)
	}
	fetched := d.startAs(release.Rollout{FetchOnly: true}, "2", "name=*")
	for _, name := range fetched.Hosts {
		d.tells(name, fetched, control.JobReport{Phase: release.Staged}, "")
	}
	if s := d.wantPhase(fetched.ID, release.DeploySucceeded); s.Waves[0].Outcome != "" {
		t.Errorf("nobody was to go live: %+v", s.Waves)
	}
}
