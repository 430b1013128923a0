package rollout

import (
	"strings"
	"testing"
	"time"

	"crow/internal/release"
)

func TestWaves(t *testing.T) {
	type rollout = release.Rollout
	type begun = Course
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
		"held by somebody":                       {rollout{Waves: halves}, begun{Wave: 1, Hold: HoldOperator}, "aass", release.DeployPaused, 1, "1100", "paused by an operator"},
		"held: who has begun goes on, no others": {rollout{}, begun{Wave: 1, Hold: HoldOperator}, "gsfs", release.DeployPaused, 1, "1000", ""},
		"all have ended although held":           {rollout{Waves: halves}, begun{Wave: 2, Hold: HoldOperator}, "aaaa", release.DeploySucceeded, 2, "1111", ""},
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
			o := Decide(p, test.from, sinceT0, lineup(test.hosts), t0.Add(10*time.Second))
			if o.Phase != test.phase || o.Wave != test.wave || letters(o.May) != test.may {
				t.Errorf("%s in wave %d, who may: %s; want %s in wave %d, %s (%s%s)", o.Phase, o.Wave, letters(o.May), test.phase, test.wave, test.may, o.Reason, o.Waits)
			}
			if !strings.Contains(o.Reason+o.Waits, test.reason) {
				t.Errorf("reason %q, waits for %q; want %q", o.Reason, o.Waits, test.reason)
			}
		})
	}
}
