package seeder

import (
	"slices"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// sinceT0 is since when hosts could be heard.
var sinceT0 = t0.Add(-24 * time.Hour)

func testProgram(hosts int, r release.Rollout) program {
	p := program{Rollout: r, ends: r.Ends(hosts), grace: time.Minute, knock: 5 * time.Second, limit: time.Hour}
	for i := range hosts {
		p.turns = append(p.turns, i)
	}
	return p
}

// standing is a host that was heard so long after t0.
func standing(name string, p release.Phase, reason string, heard time.Duration) stand {
	return stand{row: row{HostStatus: control.HostStatus{Name: name, Phase: p, Reason: reason}}, heard: t0.Add(heard)}
}

// let is a host that was told to go live so long after t0.
func let(s stand, when time.Duration) stand {
	s.Let = t0.Add(when)
	return s
}

func gone(s stand) stand {
	s.gone = true
	return s
}

func TestDecide(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		stands []stand
		now    time.Duration // since t0
		phase  release.DeployPhase
		reason string
	}{
		"nobody has begun": {
			[]stand{standing("a", release.Pending, "", 0)}, time.Second, release.DeployRunning, ""},
		"one is not done": {
			[]stand{standing("a", release.Active, "", 0), standing("b", release.Staged, "", 0)}, time.Second, release.DeployRunning, ""},
		"all are active": {
			[]stand{standing("a", release.Active, "", 0), standing("b", release.Active, "", 0)}, time.Second, release.DeploySucceeded, ""},
		"one failed, one goes on": {
			[]stand{standing("a", release.Failed, "x", 0), standing("b", release.Fetching, "", 0)}, time.Second, release.DeployRunning, ""},
		"one failed": {
			[]stand{standing("a", release.Active, "", 0), standing("b", release.Failed, "hook exited 42", 0)},
			time.Second, release.DeployFailed, "1 of 2 hosts failed: b: hook exited 42"},
		"two failed": {
			[]stand{standing("a", release.Failed, "x", 0), standing("b", release.Failed, "y", 0)},
			time.Second, release.DeployFailed, "2 of 2 hosts failed, first a: x"},
		"silence within the grace": {
			[]stand{standing("a", release.Fetching, "", 0)}, 59 * time.Second, release.DeployRunning, ""},
		"silence of the grace": {
			[]stand{standing("a", release.Fetching, "", -2*time.Second)}, time.Minute, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: last heard 1m2s ago, it was fetching"},
		"silence from before the deploy": {
			[]stand{standing("a", release.Pending, "", -day)}, 5 * time.Second, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: last heard 24h0m5s ago, it was pending"},
		"silence from before the deploy, with a moment left to answer": {
			[]stand{standing("a", release.Pending, "", -day)}, 4 * time.Second, release.DeployRunning, ""},
		"silence of one that is active does not matter": {
			[]stand{standing("a", release.Active, "", 0)}, day, release.DeploySucceeded, ""},
		"deadline": {
			[]stand{let(standing("a", release.Activating, "", time.Hour), 0)}, time.Hour, release.DeployFailed,
			"1 of 1 hosts failed: a: not finished within 1h0m0s: it is activating"},
		"gossip calls it failed, and it is silent for three quarters of the grace": {
			[]stand{gone(standing("a", release.Fetching, "", 0))}, 45 * time.Second, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: gossip calls it failed, last heard 45s ago, it was fetching"},
		"gossip calls it failed, and it is heard": {
			[]stand{gone(standing("a", release.Fetching, "", 0))}, 44 * time.Second, release.DeployRunning, ""},
		"never heard": {
			[]stand{{row: row{HostStatus: control.HostStatus{Name: "a"}}}}, time.Minute, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: not heard since the seeder started, it was pending"},
	} {
		t.Run(name, func(t *testing.T) {
			p := testProgram(len(test.stands), release.Rollout{})
			o := decide(p, course{Began: t0, Wave: 1}, sinceT0, test.stands, t0.Add(test.now))
			if o.phase != test.phase || o.reason != test.reason {
				t.Errorf("got %s %q, want %s %q", o.phase, o.reason, test.phase, test.reason)
			}
			if slices.Contains(o.may, false) {
				t.Errorf("who may go live: %v, want all", o.may)
			}
		})
	}
}

// A retry is an order anew: a host that is silent already has as long to answer it as at
// the deploy's begin.
func TestSilentHostsMayAnswerARetry(t *testing.T) {
	retried := t0.Add(10 * time.Minute)
	stands := []stand{standing("a", release.Active, "", 0), standing("b", release.Pending, "", 0)}
	for after, want := range map[time.Duration]release.DeployPhase{0: release.DeployRunning, 4 * time.Second: release.DeployRunning, 5 * time.Second: release.DeployFailed} {
		o := decide(testProgram(2, release.Rollout{}), course{Began: retried, Wave: 1}, sinceT0, stands, retried.Add(after))
		if o.phase != want {
			t.Errorf("%s after the retry it is %s (%s), want %s", after, o.phase, o.reason, want)
		}
	}
}

func TestQuietHostsAreNamedBeforeTheyFail(t *testing.T) {
	s := standing("a", release.Fetching, "", 0)
	p := testProgram(1, release.Rollout{})
	for after, want := range map[time.Duration]string{
		29 * time.Second: "", 30 * time.Second: "not reachable: last heard at 2026-11-01T12:00:00Z",
		59 * time.Second: "not reachable: last heard at 2026-11-01T12:00:00Z",
	} {
		o := decide(p, course{Began: t0}, sinceT0, []stand{s}, t0.Add(after))
		r := s.row
		r.Quiet = o.quiet[0]
		if got := r.shown(); got.Reason != want || got.Phase != release.Fetching {
			t.Errorf("after %s: %s %q, want %q", after, got.Phase, got.Reason, want)
		}
	}
	s.Phase = release.Active
	if o := decide(p, course{Began: t0}, sinceT0, []stand{s}, t0.Add(time.Hour)); o.quiet[0] != "" {
		t.Errorf("an active host: %q", o.quiet[0])
	}
}

func TestVerdictIsLiftedButNotReworded(t *testing.T) {
	s := standing("a", release.Fetching, "", 0)
	p, until := testProgram(1, release.Rollout{}), t0.Add(time.Hour)
	s.Verdict = verdict(p, t0, until, sinceT0, s, t0.Add(time.Minute))
	if s.Verdict == "" {
		t.Fatal("no verdict on a silent host")
	}
	if again := verdict(p, t0, until, sinceT0, s, t0.Add(2*time.Minute)); again != s.Verdict {
		t.Errorf("a minute later the verdict reads %q, want %q", again, s.Verdict)
	}
	if resumed := verdict(p, t0.Add(2*time.Minute), until, sinceT0, s, t0.Add(2*time.Minute)); resumed != s.Verdict {
		t.Errorf("the deploy is resumed, and the verdict reads %q, want %q", resumed, s.Verdict)
	}
	s.heard = t0.Add(2 * time.Minute)
	if lifted := verdict(p, t0, until, sinceT0, s, t0.Add(2*time.Minute)); lifted != "" {
		t.Errorf("the host is back, and still: %s", lifted)
	}
}
