package seeder

import (
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

func testTerms() terms {
	return terms{since: t0.Add(-24 * time.Hour), knock: t0.Add(5 * time.Second), grace: time.Minute, until: t0.Add(time.Hour), limit: time.Hour}
}

// standing is a host that was heard so long after t0.
func standing(name string, p release.Phase, reason string, heard time.Duration) stand {
	return stand{row: row{HostStatus: control.HostStatus{Name: name, Phase: p, Reason: reason}}, heard: t0.Add(heard)}
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
			[]stand{standing("a", release.Activating, "", time.Hour)}, time.Hour, release.DeployFailed,
			"1 of 1 hosts failed: a: not finished within 1h0m0s: it is activating"},
		"never heard": {
			[]stand{{row: row{HostStatus: control.HostStatus{Name: "a"}}}}, time.Minute, release.DeployFailed,
			"1 of 1 hosts failed: a: unreachable: not heard since the seeder started, it was pending"},
	} {
		t.Run(name, func(t *testing.T) {
			o := decide(testTerms(), test.stands, t0.Add(test.now))
			if o.phase != test.phase || o.reason != test.reason {
				t.Errorf("got %s %q, want %s %q", o.phase, o.reason, test.phase, test.reason)
			}
			if o.activate != len(test.stands) {
				t.Errorf("%d hosts may activate, want all %d", o.activate, len(test.stands))
			}
		})
	}
}

func TestQuietHostsAreNamedBeforeTheyFail(t *testing.T) {
	s := standing("a", release.Fetching, "", 0)
	for after, want := range map[time.Duration]string{
		29 * time.Second: "", 30 * time.Second: "not reachable: last heard at 2026-11-01T12:00:00Z",
		59 * time.Second: "not reachable: last heard at 2026-11-01T12:00:00Z",
	} {
		o := decide(testTerms(), []stand{s}, t0.Add(after))
		r := s.row
		r.Quiet = o.quiet[0]
		if got := r.shown(); got.Reason != want || got.Phase != release.Fetching {
			t.Errorf("after %s: %s %q, want %q", after, got.Phase, got.Reason, want)
		}
	}
	s.Phase = release.Active
	if o := decide(testTerms(), []stand{s}, t0.Add(time.Hour)); o.quiet[0] != "" {
		t.Errorf("an active host: %q", o.quiet[0])
	}
}

func TestVerdictIsLiftedButNotReworded(t *testing.T) {
	s := standing("a", release.Fetching, "", 0)
	s.Verdict = verdict(testTerms(), s, t0.Add(time.Minute))
	if s.Verdict == "" {
		t.Fatal("no verdict on a silent host")
	}
	if again := verdict(testTerms(), s, t0.Add(2*time.Minute)); again != s.Verdict {
		t.Errorf("a minute later the verdict reads %q, want %q", again, s.Verdict)
	}
	s.heard = t0.Add(2 * time.Minute)
	if lifted := verdict(testTerms(), s, t0.Add(2*time.Minute)); lifted != "" {
		t.Errorf("the host is back, and still: %s", lifted)
	}
}

// TestMerge tries every pair of phases: an end stays, all else follows the host.
func TestMerge(t *testing.T) {
	for from := release.Pending; from <= release.Failed; from++ {
		for to := release.Pending; to <= release.Failed; to++ {
			got := merge(row{HostStatus: control.HostStatus{Name: "a", Phase: from}}, control.JobReport{Phase: to}).Phase
			want := to
			if from.Ended() {
				want = from
			}
			if got != want {
				t.Errorf("%s, then a report of %s: got %s, want %s", from, to, got, want)
			}
		}
	}
}

func TestSameRow(t *testing.T) {
	base := row{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}}}
	same := row{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}}}
	if !sameRow(base, same) {
		t.Error("equal rows with hooks of their own differ")
	}
	for i, other := range []row{
		{HostStatus: control.HostStatus{Name: "a"}},
		{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 2}}},
		{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}, Bytes: release.Bytes{Peer: 1}}},
		{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}}, Verdict: "x"},
	} {
		if sameRow(base, other) || sameRow(other, base) {
			t.Errorf("row %d is taken for the same", i)
		}
	}
}

func TestShown(t *testing.T) {
	for _, test := range []struct {
		phase   release.Phase
		verdict string
		want    release.Phase
		reason  string
	}{
		{release.Fetching, "", release.Fetching, "said"},
		{release.Fetching, "silent", release.Failed, "silent"},
		{release.Failed, "silent", release.Failed, "said"},
		{release.Active, "silent", release.Active, "active only after the deploy had ended; before: silent"},
		{release.Active, "", release.Active, "said"},
	} {
		s := row{HostStatus: control.HostStatus{Phase: test.phase, Reason: "said"}, Verdict: test.verdict}.shown()
		if s.Phase != test.want || s.Reason != test.reason {
			t.Errorf("%s with verdict %q shows as %s %q, want %s %q", test.phase, test.verdict, s.Phase, s.Reason, test.want, test.reason)
		}
	}
}

func TestGoalFollowsTheOrderOfActivation(t *testing.T) {
	d := &deploy{plan: plan{Hosts: []string{"a", "b", "c"}}, activate: 2}
	var got []string
	for _, name := range []string{"a", "b", "c", "late"} {
		got = append(got, string(d.goal(name)))
	}
	if want := []string{"activate", "activate", "fetch", "fetch"}; !slices.Equal(got, want) {
		t.Errorf("goals are %s, want %s", strings.Join(got, " "), strings.Join(want, " "))
	}
	if d.activate = 3; d.goal("late") != control.GoalActivate {
		t.Error("a late host may not activate although all others may")
	}
}
