package seeder

import (
	"fmt"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// This file decides how a deploy goes on. It is plain functions of what is
// known and of the time, without clock, lock or disk: the ledger does what they
// say.

// row is one host in one deploy: what the host reported, and what the seeder
// makes of its silence.
type row struct {
	control.HostStatus
	// Verdict is why the seeder counts the host as failed although the host
	// did not say so; empty: it does not. A host that comes back while the
	// deploy runs has its verdict lifted.
	Verdict string `json:"verdict,omitempty"`
	// Quiet says that the host has not been heard for a while, before that
	// counts; empty: it has. It is judged anew after a restart.
	Quiet string `json:"-"`
}

// shown is the row as status documents have it.
func (r row) shown() control.HostStatus {
	s := r.HostStatus
	switch {
	case r.Verdict == "" && s.Reason == "" && !s.Phase.Ended():
		s.Reason = r.Quiet
	case r.Verdict == "":
	case !s.Phase.Ended():
		s.Phase, s.Reason = release.Failed, r.Verdict
	case s.Phase == release.Active:
		s.Reason = "active only after the deploy had ended; before: " + r.Verdict
	}
	return s
}

// merge returns the row after a host's report. What has ended stays so: to try
// again takes a new deploy. Before that a job may go back, as when its agent
// was killed and began again.
func merge(r row, j control.JobReport) row {
	if r.Phase.Ended() {
		return r
	}
	r.Phase, r.Reason, r.Bytes = j.Phase, j.Reason, j.Bytes
	r.FetchSeconds, r.StageSeconds, r.Hook, r.Unchanged, r.Refused = j.FetchSeconds, j.StageSeconds, j.Hook, j.Unchanged, j.Refused
	r.CutOff = j.CutOff
	return r
}

// sameRow reports whether two rows look the same to who reads a status.
func sameRow(a, b row) bool {
	if (a.Hook == nil) != (b.Hook == nil) || a.Hook != nil && *a.Hook != *b.Hook {
		return false
	}
	a.Hook, b.Hook = nil, nil
	return a == b
}

// terms are the times that a deploy is held to.
type terms struct {
	since time.Time     // silence counts from here: hosts could not be heard before
	knock time.Time     // nobody is unreachable before: a host may answer a new order
	grace time.Duration // of silence
	until time.Time     // a host that has not finished by then has failed
	limit time.Duration // what until stands for, to be named in a reason
}

// stand is what is known of one host that a deploy counts.
type stand struct {
	row
	heard time.Time // when the host was last known to be there
}

// outcome is where a deploy stands and what follows.
type outcome struct {
	phase    release.DeployPhase
	reason   string
	verdicts []string // for each stand
	quiet    []string // for each stand
	// activate is how many of the stands, from the first on, may go live; the
	// others only fetch. So far it is always all of them.
	activate int
}

// decide judges every host and then the deploy: it has succeeded once all
// hosts are active, and failed once all have ended and one of them is not.
func decide(t terms, stands []stand, now time.Time) outcome {
	o := outcome{verdicts: make([]string, len(stands)), quiet: make([]string, len(stands)), activate: len(stands)}
	active, failed, first := 0, 0, ""
	for i, s := range stands {
		s.Verdict = verdict(t, s, now)
		o.verdicts[i], o.quiet[i] = s.Verdict, quiet(t, s, now)
		switch shown := s.shown(); shown.Phase {
		case release.Active:
			active++
		case release.Failed:
			if failed++; failed == 1 {
				first = shown.Name + ": " + shown.Reason
			}
		}
	}
	switch {
	case active+failed < len(stands):
		o.phase = release.DeployRunning
	case failed == 0:
		o.phase = release.DeploySucceeded
	default:
		o.phase, o.reason = release.DeployFailed, failures(failed, len(stands), first)
	}
	return o
}

func failures(failed, all int, first string) string {
	if failed == 1 {
		return fmt.Sprintf("1 of %d hosts failed: %s", all, first)
	}
	return fmt.Sprintf("%d of %d hosts failed, first %s", failed, all, first)
}

// verdict says why a host counts as failed that did not report an end, or
// nothing. One that stands is not worded anew with each second that passes.
func verdict(t terms, s stand, now time.Time) string {
	silent := now.Sub(later(s.heard, t.since)) >= t.grace && !now.Before(t.knock)
	switch {
	case s.Phase.Ended():
		return ""
	case s.Verdict != "" && (silent || !now.Before(t.until)):
		return s.Verdict
	case silent && s.heard.IsZero():
		return fmt.Sprintf("unreachable: not heard since the seeder started, it was %s", s.Phase)
	case silent:
		return fmt.Sprintf("unreachable: last heard %s ago, it was %s", now.Sub(s.heard).Round(time.Second), s.Phase)
	case !now.Before(t.until):
		return fmt.Sprintf("not finished within %s: it is %s", t.limit, s.Phase)
	}
	return ""
}

// quiet says that a host has not been heard for half the grace, or nothing. Hosts
// that are there are heard more often than that, by their polls.
func quiet(t terms, s stand, now time.Time) string {
	if s.Phase.Ended() || now.Sub(later(s.heard, t.since)) < t.grace/2 {
		return ""
	}
	if s.heard.IsZero() {
		return "not reachable: not heard since the seeder started"
	}
	return "not reachable: last heard at " + s.heard.UTC().Format(time.RFC3339)
}

// goalOf is how far the i-th host of a deploy may take it.
func goalOf(i, activate int) control.Goal {
	if i < activate {
		return control.GoalActivate
	}
	return control.GoalFetch
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
