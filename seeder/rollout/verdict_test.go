package rollout

import (
	"testing"
	"time"

	"crow/internal/release"
)

func TestQuietHostsAreNamedBeforeTheyFail(t *testing.T) {
	s := standing("a", release.Fetching, "", 0)
	p := testProgram(1, release.Rollout{})
	for after, want := range map[time.Duration]string{
		29 * time.Second: "", 30 * time.Second: "not reachable: last heard at 2026-11-01T12:00:00Z",
		59 * time.Second: "not reachable: last heard at 2026-11-01T12:00:00Z",
	} {
		o := Decide(p, Course{Began: t0}, sinceT0, []Stand{s}, t0.Add(after))
		r := s.Row
		r.Quiet = o.Quiet[0]
		if got := r.Shown(); got.Reason != want || got.Phase != release.Fetching {
			t.Errorf("after %s: %s %q, want %q", after, got.Phase, got.Reason, want)
		}
	}
	s.Phase = release.Active
	if o := Decide(p, Course{Began: t0}, sinceT0, []Stand{s}, t0.Add(time.Hour)); o.Quiet[0] != "" {
		t.Errorf("an active host: %q", o.Quiet[0])
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
	s.Heard = t0.Add(2 * time.Minute)
	if lifted := verdict(p, t0, until, sinceT0, s, t0.Add(2*time.Minute)); lifted != "" {
		t.Errorf("the host is back, and still: %s", lifted)
	}
}
