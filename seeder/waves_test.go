package seeder

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// lineup is one host for each letter: p, f, v, s, g, a, x are its phase from pending
// to failed. A capital one is live.
func lineup(letters string) []stand {
	var stands []stand
	for i, l := range letters {
		p := strings.IndexRune("pfvsgax", l|0x20)
		s := standing(fmt.Sprintf("h%d", i), release.Phase(p), "", 0)
		s.Live = l < 'a' || l == 'a' || l == 'g'
		s.Begun = s.Live
		if s.Phase == release.Failed {
			s.Reason = "why"
		}
		s.Let = t0
		stands = append(stands, s)
	}
	return stands
}

func letters(may []bool) string {
	text := ""
	for _, m := range may {
		text += map[bool]string{true: "1", false: "0"}[m]
	}
	return text
}

func share(text string) *release.Share {
	s, err := release.ParseShare(text)
	if err != nil {
		panic(err)
	}
	return &s
}

var halves = []release.Share{release.Percent(50), release.Percent(100)}

func TestWaves(t *testing.T) {
	type rollout = release.Rollout
	type begun = course
	ended := t0.Add(5 * time.Second)
	for name, test := range map[string]struct {
		how    rollout
		from   begun
		hosts  string
		phase  release.DeployPhase
		wave   int
		may    string
		reason string // a part of it, or of what it waits for
	}{
		"no waves: all at once, from the start":  {rollout{}, begun{}, "pppp", release.DeployRunning, 1, "1111", "h0 (pending)"},
		"waves: nobody before all have fetched":  {rollout{Waves: halves}, begun{}, "ssfs", release.DeployRunning, 0, "0000", "1 of 4 hosts to fetch it: h2 (fetching)"},
		"who failed to fetch is not waited for":  {rollout{Waves: halves, MaxFailures: share("1")}, begun{}, "ssxs", release.DeployRunning, 1, "1100", ""},
		"the first wave":                         {rollout{Waves: halves}, begun{}, "ssss", release.DeployRunning, 1, "1100", "2 of 2 hosts of wave 1 of 2"},
		"the first wave is under way":            {rollout{Waves: halves}, begun{Wave: 1}, "agss", release.DeployRunning, 1, "1100", "h1 (activating)"},
		"the next wave":                          {rollout{Waves: halves}, begun{Wave: 1}, "aass", release.DeployRunning, 2, "1111", "wave 2 of 2"},
		"the pause before it":                    {rollout{Waves: halves, WavePause: release.Duration(time.Minute)}, begun{Wave: 1}, "aass", release.DeployRunning, 1, "1100", "the pause before wave 2 of 2"},
		"the pause goes on":                      {rollout{Waves: halves, WavePause: release.Duration(6 * time.Second)}, begun{Wave: 1, WaveEnded: ended}, "aass", release.DeployRunning, 1, "1100", "the pause"},
		"the pause is over":                      {rollout{Waves: halves, WavePause: release.Duration(5 * time.Second)}, begun{Wave: 1, WaveEnded: ended}, "aass", release.DeployRunning, 2, "1111", "wave 2"},
		"a failure stops waves":                  {rollout{Waves: halves}, begun{Wave: 1}, "aXss", release.DeployPaused, 1, "1100", "paused: 1 of 4 hosts failed: h1: why; up to 0 were allowed to"},
		"a failed fetch stops waves":             {rollout{Waves: halves}, begun{}, "sssx", release.DeployPaused, 0, "0000", "h3: why"},
		"as many as may fail":                    {rollout{Waves: halves, MaxFailures: share("25%")}, begun{Wave: 1}, "aXss", release.DeployRunning, 2, "1111", ""},
		"forgiven":                               {rollout{Waves: halves}, begun{Wave: 1, Forgiven: 1}, "aXss", release.DeployRunning, 2, "1111", ""},
		"one more than forgiven":                 {rollout{Waves: halves}, begun{Wave: 1, Forgiven: 1}, "XXss", release.DeployPaused, 1, "1100", ""},
		"held by somebody":                       {rollout{Waves: halves}, begun{Wave: 1, Hold: holdOperator}, "aass", release.DeployPaused, 1, "1100", "paused by an operator"},
		"held: who has begun goes on, no others": {rollout{}, begun{Wave: 1, Hold: holdOperator}, "gsfs", release.DeployPaused, 1, "1000", ""},
		"all have ended although held":           {rollout{Waves: halves}, begun{Wave: 2, Hold: holdOperator}, "aaaa", release.DeploySucceeded, 2, "1111", ""},
		"failures within the limit":              {rollout{MaxFailures: share("1")}, begun{Wave: 1}, "aaaX", release.DeploySucceeded, 1, "1111", "1 of 4 hosts failed: h3: why; up to 1 were allowed to"},
		"no limit: it ends as a failure":         {rollout{}, begun{Wave: 1}, "aaaX", release.DeployFailed, 1, "1111", ""},
		"no limit: nobody is stopped":            {rollout{}, begun{Wave: 1}, "fXXf", release.DeployRunning, 1, "1111", ""},
		"a limit without waves stops all others": {rollout{MaxFailures: share("0")}, begun{Wave: 1}, "sXgs", release.DeployPaused, 1, "0110", ""},
		"two at once":                            {rollout{HostsAtOnce: 2}, begun{}, "ssss", release.DeployRunning, 1, "1100", ""},
		"two at once, one is done":               {rollout{HostsAtOnce: 2}, begun{Wave: 1}, "agss", release.DeployRunning, 1, "1110", ""},
		"two at once, who has begun comes first": {rollout{HostsAtOnce: 2}, begun{Wave: 1}, "sggs", release.DeployRunning, 1, "0110", ""},
		"one at once in a wave":                  {rollout{Waves: halves, HostsAtOnce: 1}, begun{Wave: 1}, "asss", release.DeployRunning, 1, "1100", ""},
		"fetch only":                             {rollout{FetchOnly: true}, begun{}, "ssfs", release.DeployRunning, 0, "0000", "1 of 4 hosts to fetch it"},
		"fetch only, all have it":                {rollout{FetchOnly: true}, begun{}, "ssas", release.DeploySucceeded, 0, "0010", ""},
		"fetch only, one failed":                 {rollout{FetchOnly: true}, begun{}, "ssxs", release.DeployFailed, 0, "0000", "h2: why"},
		"who is back from an earlier wave":       {rollout{Waves: halves, MaxFailures: share("2")}, begun{Wave: 2}, "sgss", release.DeployRunning, 2, "1111", "4 of 4 hosts of waves 1 to 2 of 2: h0"},
		"one who is back":                        {rollout{Waves: halves, MaxFailures: share("2")}, begun{Wave: 2}, "gaas", release.DeployRunning, 2, "1111", "2 of 4 hosts of waves 1 to 2 of 2: h3"},
		"the last wave alone":                    {rollout{Waves: halves, MaxFailures: share("2")}, begun{Wave: 2}, "aags", release.DeployRunning, 2, "1111", "2 of 2 hosts of wave 2 of 2"},
		"a wave of failures":                     {rollout{Waves: halves, MaxFailures: share("3")}, begun{Wave: 1}, "XXss", release.DeployRunning, 2, "1111", ""},
	} {
		t.Run(name, func(t *testing.T) {
			test.from.Began = t0
			p := testProgram(len(test.hosts), test.how)
			o := decide(p, test.from, sinceT0, lineup(test.hosts), t0.Add(10*time.Second))
			if o.phase != test.phase || o.Wave != test.wave || letters(o.may) != test.may {
				t.Errorf("%s in wave %d, who may: %s; want %s in wave %d, %s (%s%s)", o.phase, o.Wave, letters(o.may), test.phase, test.wave, test.may, o.reason, o.waits)
			}
			if !strings.Contains(o.reason+o.waits, test.reason) {
				t.Errorf("reason %q, waits for %q; want %q", o.reason, o.waits, test.reason)
			}
		})
	}
}

func TestFallback(t *testing.T) {
	back := release.Rollout{Waves: halves, OnFailure: release.OnFailureRollback}
	for hosts, want := range map[string]bool{"aXss": true, "Xass": true, "sxss": false, "XXXX": true, "aaaa": false} {
		o := decide(testProgram(4, back), course{Began: t0, Wave: 1}, sinceT0, lineup(hosts), t0)
		if o.fallback != want || o.phase == release.DeployPaused {
			t.Errorf("%s: goes back: %t, want %t; it is %s", hosts, o.fallback, want, o.phase)
		}
	}
}

// A host has its time from when it was told, not from when the deploy began.
func TestTimeToGoLive(t *testing.T) {
	p := testProgram(2, release.Rollout{Waves: halves})
	c := course{Began: t0, Wave: 1, WaveEnded: t0}
	late := t0.Add(3 * time.Hour)
	stands := lineup("as")
	for i := range stands {
		stands[i].heard, stands[i].Let = late, time.Time{}
	}
	if o := decide(p, c, sinceT0, stands, late); o.phase != release.DeployRunning || letters(o.may) != "11" {
		t.Fatalf("the second wave after three hours: %s, %s", o.phase, o.reason)
	}
	c.Wave, stands[1].Let = 2, late
	for after, want := range map[time.Duration]release.DeployPhase{59 * time.Minute: release.DeployRunning, time.Hour: release.DeployPaused} {
		now := late.Add(after)
		stands[1].heard = now
		if o := decide(p, c, sinceT0, stands, now); o.phase != want && o.phase != release.DeployFailed {
			t.Errorf("%s after it was told: %s (%s)", after, o.phase, o.reason)
		}
	}
}

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

func TestTurnsSpreadOverZones(t *testing.T) {
	zones := strings.Split("a a a a a a b b c", " ")
	turns := turnsOf(zones)
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
