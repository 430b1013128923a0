package rollout

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func TestDecide(t *testing.T) {
	const day = 24 * time.Hour
	for name, test := range map[string]struct {
		stands []Stand
		now    time.Duration // since t0
		phase  release.DeployPhase
		reason string
	}{
		"nobody has begun": {
			[]Stand{standing("a", release.Pending, "", 0)}, time.Second, release.DeployRunning, ""},
		"one is not done": {
			[]Stand{standing("a", release.Active, "", 0), standing("b", release.Staged, "", 0)}, time.Second, release.DeployRunning, ""},
		"all are active": {
			[]Stand{standing("a", release.Active, "", 0), standing("b", release.Active, "", 0)}, time.Second, release.DeploySucceeded, ""},
		"one failed, one goes on": {
			[]Stand{standing("a", release.Failed, "x", 0), standing("b", release.Fetching, "", 0)}, time.Second, release.DeployRunning, ""},
		"one failed": {
			[]Stand{standing("a", release.Active, "", 0), standing("b", release.Failed, "hook exited 42", 0)},
			time.Second, release.DeployFailed, "1 of 2 hosts failed: b: hook exited 42"},
		"two failed": {
			[]Stand{standing("a", release.Failed, "x", 0), standing("b", release.Failed, "y", 0)},
			time.Second, release.DeployFailed, "2 of 2 hosts failed, first a: x"},
		"silence within the grace": {
			[]Stand{standing("a", release.Fetching, "", 0)}, 59 * time.Second, release.DeployRunning, ""},
		"silence of the grace": {
			[]Stand{standing("a", release.Fetching, "", -2*time.Second)}, time.Minute, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: last heard 1m2s ago, it was fetching"},
		"silence from before the deploy": {
			[]Stand{standing("a", release.Pending, "", -day)}, 5 * time.Second, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: last heard 24h0m5s ago, it was pending"},
		"silence from before the deploy, with a moment left to answer": {
			[]Stand{standing("a", release.Pending, "", -day)}, 4 * time.Second, release.DeployRunning, ""},
		"silence of one that is active does not matter": {
			[]Stand{standing("a", release.Active, "", 0)}, day, release.DeploySucceeded, ""},
		"deadline": {
			[]Stand{let(standing("a", release.Activating, "", time.Hour), 0)}, time.Hour, release.DeployFailed,
			"1 of 1 hosts failed: a: not finished within 1h0m0s: it is activating"},
		"gossip calls it failed, and it is silent for three quarters of the grace": {
			[]Stand{gone(standing("a", release.Fetching, "", 0))}, 45 * time.Second, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: gossip calls it failed, last heard 45s ago, it was fetching"},
		"gossip calls it failed, and it is heard": {
			[]Stand{gone(standing("a", release.Fetching, "", 0))}, 44 * time.Second, release.DeployRunning, ""},
		"never heard": {
			[]Stand{{Row: Row{HostStatus: control.HostStatus{Name: "a"}}}}, time.Minute, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: not heard since the seeder started, it was pending"},
	} {
		t.Run(name, func(t *testing.T) {
			p := testProgram(len(test.stands), release.Rollout{})
			o := Decide(p, Course{Began: t0, Wave: 1}, sinceT0, test.stands, t0.Add(test.now))
			if o.Phase != test.phase || o.Reason != test.reason {
				t.Errorf("got %s %q, want %s %q", o.Phase, o.Reason, test.phase, test.reason)
			}
			if slices.Contains(o.May, false) {
				t.Errorf("who may go live: %v, want all", o.May)
			}
		})
	}
}

// A retry is an order anew: a host that is silent already has as long to answer it as at
// the deploy's begin.
func TestSilentHostsMayAnswerARetry(t *testing.T) {
	retried := t0.Add(10 * time.Minute)
	stands := []Stand{standing("a", release.Active, "", 0), standing("b", release.Pending, "", 0)}
	for after, want := range map[time.Duration]release.DeployPhase{0: release.DeployRunning, 4 * time.Second: release.DeployRunning, 5 * time.Second: release.DeployFailed} {
		o := Decide(testProgram(2, release.Rollout{}), Course{Began: retried, Wave: 1}, sinceT0, stands, retried.Add(after))
		if o.Phase != want {
			t.Errorf("%s after the retry it is %s (%s), want %s", after, o.Phase, o.Reason, want)
		}
	}
}

func TestFallback(t *testing.T) {
	back := release.Rollout{Waves: halves, OnFailure: release.OnFailureRollback}
	for hosts, want := range map[string]bool{"aXss": true, "Xass": true, "sxss": true, "XXXX": true, "aaaa": false} {
		o := Decide(testProgram(4, back), Course{Began: t0, Wave: 1}, sinceT0, lineup(hosts), t0)
		if o.Fallback != want || o.Phase == release.DeployPaused {
			t.Errorf("%s: goes back: %t, want %t; it is %s", hosts, o.Fallback, want, o.Phase)
		}
	}
}

// A host has its time from when it was told, not from when the deploy began.
func TestTimeToGoLive(t *testing.T) {
	p := testProgram(2, release.Rollout{Waves: halves})
	c := Course{Began: t0, Wave: 1, WaveEnded: t0}
	late := t0.Add(3 * time.Hour)
	stands := lineup("as")
	for i := range stands {
		stands[i].Heard, stands[i].Let = late, time.Time{}
	}
	if o := Decide(p, c, sinceT0, stands, late); o.Phase != release.DeployRunning || letters(o.May) != "11" {
		t.Fatalf("the second wave after three hours: %s, %s", o.Phase, o.Reason)
	}
	c.Wave, stands[1].Let = 2, late
	for after, want := range map[time.Duration]release.DeployPhase{59 * time.Minute: release.DeployRunning, time.Hour: release.DeployPaused} {
		now := late.Add(after)
		stands[1].Heard = now
		if o := Decide(p, c, sinceT0, stands, now); o.Phase != want && o.Phase != release.DeployFailed {
			t.Errorf("%s after it was told: %s (%s)", after, o.Phase, o.Reason)
		}
	}
}

// When all that count have ended a deploy waits for late hosts that try again, where they
// can end.
func TestLateHostsTryAgain(t *testing.T) {
	for _, c := range []struct {
		how   release.Rollout
		hosts string
		wave  int
		hold  Hold
		phase release.DeployPhase
	}{
		{release.Rollout{}, "aa", 1, HoldNone, release.DeployRunning},
		{release.Rollout{}, "aX", 1, HoldNone, release.DeployRunning},
		{release.Rollout{FetchOnly: true}, "ss", 0, HoldNone, release.DeployRunning},
		{release.Rollout{Waves: halves}, "aX", 2, HoldNone, release.DeployRunning}, // over the limit, and nobody is left to be held
		{release.Rollout{Waves: halves}, "xx", 0, HoldNone, release.DeployFailed},  // nobody was let go
		{release.Rollout{Waves: halves}, "aX", 2, HoldFailures, release.DeployFailed},
		{release.Rollout{OnFailure: release.OnFailureRollback}, "aX", 1, HoldNone, release.DeployFailed}, // that is more urgent
	} {
		p := testProgram(len(c.hosts), c.how)
		p.Late = []string{"late"}
		o := Decide(p, Course{Began: t0, Wave: c.wave, Hold: c.hold}, sinceT0, lineup(c.hosts), t0)
		if o.Phase != c.phase || strings.Contains(o.Waits, "late") != (c.phase == release.DeployRunning) {
			t.Errorf("%s in wave %d, held by %q: it is %s, and waits for %q; want %s", c.hosts, c.wave, c.hold, o.Phase, o.Waits, c.phase)
		}
	}
}
