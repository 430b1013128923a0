package seeder

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// row is one host in one deploy: what the host reported, and what the seeder
// makes of it.
type row struct {
	control.HostStatus
	// Verdict is why the seeder counts the host as failed although the host
	// did not say so; empty: it does not. A host that comes back while the
	// deploy runs has its verdict lifted.
	Verdict string `json:"verdict,omitempty"`
	// Quiet says that the host has not been heard for a while, before that
	// counts; empty: it has. It is judged anew after a restart.
	Quiet string    `json:"-"`
	Live  bool      `json:"live,omitempty"`  // its link was set to the release, whatever came of it
	Begun bool      `json:"begun,omitempty"` // the same, in this attempt
	Let   time.Time `json:"let,omitzero"`    // when it was last told to go live
	Retry bool      `json:"retry,omitempty"` // it may try again although the deploy is held
	// Forgotten is a host that was taken out of the books: nobody waits for it, and it
	// is no failure.
	Forgotten bool `json:"forgotten,omitempty"`
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

// merge returns the row after a host's report. What has ended stays so, until the
// host is told to try again; a word on an earlier attempt says nothing then. Before
// its end a job may go back, as when its agent was killed and began again.
func merge(r row, j control.JobReport, now time.Time) row {
	if r.Phase.Ended() || j.Attempt != r.Attempt {
		return r
	}
	if r.Phase != j.Phase || r.Bytes != j.Bytes {
		r.Moved = now.UTC()
	}
	r.Phase, r.Reason, r.Bytes, r.Rate = j.Phase, j.Reason, j.Bytes, j.Rate
	r.FetchSeconds, r.StageSeconds, r.Hook, r.Check = j.FetchSeconds, j.StageSeconds, j.Hook, j.Check
	r.Unchanged, r.Refused, r.CutOff = j.Unchanged, j.Refused, j.CutOff
	r.Begun = r.Begun || begins(j)
	r.Live = r.Live || r.Begun
	return r
}

// relapse is the row of a host that was active when the deploy ended, and that has
// failed since: installed anew, it did the deploy once more, and its hook or check
// failed.
func relapse(r row, j control.JobReport, now time.Time) row {
	if r.Phase != release.Active || j.Phase != release.Failed || j.Attempt != r.Attempt {
		return r
	}
	r.Phase = release.Pending
	r = merge(r, j, now)
	r.Reason = "after the deploy had ended: " + r.Reason
	return r
}

// begins reports whether a job's report shows that it went live or began to.
func begins(j control.JobReport) bool {
	return j.Phase == release.Activating || j.Phase == release.Active || j.Hook != nil || j.Check != nil
}

// again is the row of a host that is to try again. One that only the seeder calls
// failed goes on with what it is at.
func (r row) again(failedOnly bool) row {
	if r.Phase == release.Failed {
		r.HostStatus = control.HostStatus{Name: r.Name, Zone: r.Zone, Late: r.Late, Attempt: r.Attempt + 1, Earlier: r.AllBytes()}
		r.Begun = false
	}
	r.Verdict, r.Quiet, r.Let, r.Retry = "", "", time.Time{}, failedOnly
	return r
}

// sameRow reports whether two rows look the same to who reads a status.
func sameRow(a, b row) bool {
	if !sameHook(a.Hook, b.Hook) || !sameHook(a.Check, b.Check) {
		return false
	}
	a.Hook, b.Hook, a.Check, b.Check = nil, nil, nil, nil
	return a == b
}

func sameHook(a, b *control.HookResult) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}

// verdict says why a host counts as failed that did not report an end, or
// nothing. Silence counts from since on: hosts could not be heard before. One that
// stands is not worded anew with each second that passes, nor lifted because the deploy
// was resumed: that asks the host for nothing.
func verdict(p program, began, until, since time.Time, s stand, now time.Time) string {
	silence := now.Sub(later(s.heard, since))
	asked := s.Verdict != "" || !now.Before(began.Add(p.knock))
	silent := silence >= p.grace && asked
	// Gossip alone is no proof: a host that is there calls more often than this.
	gone := s.gone && silence >= p.grace*3/4 && asked
	late := !until.IsZero() && !now.Before(until)
	switch {
	case s.Verdict != "" && (silent || gone || late):
		return s.Verdict
	case silent && s.heard.IsZero():
		return fmt.Sprintf("unreachable: not heard since the seeder started, it was %s", s.Phase)
	case gone:
		return fmt.Sprintf("unreachable: gossip calls it failed, last heard %s ago, it was %s", silence.Round(time.Second), s.Phase)
	case silent:
		return fmt.Sprintf("unreachable: last heard %s ago, it was %s", now.Sub(s.heard).Round(time.Second), s.Phase)
	case late:
		return fmt.Sprintf("not finished within %s: it is %s", p.limit, s.Phase)
	}
	return ""
}

// quiet says that a host has not been heard for half the grace, or nothing. Hosts
// that are there are heard more often than that, by their polls.
func quiet(p program, since time.Time, s stand, now time.Time) string {
	if now.Sub(later(s.heard, since)) < p.grace/2 {
		return ""
	}
	if s.heard.IsZero() {
		return "not reachable: not heard since the seeder started"
	}
	return "not reachable: last heard at " + s.heard.UTC().Format(time.RFC3339)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func fetches(s stand) bool { return s.shown().Phase < release.Staged }

func anywhere(stand) bool { return true }

// maxNamed bounds the hosts that a text names.
const maxNamed = 3

// slowest names the hosts that have come least far.
func slowest(stands []stand, which func(stand) bool) string {
	var behind []stand
	for _, s := range stands {
		if which(s) && !s.shown().Phase.Ended() {
			behind = append(behind, s)
		}
	}
	slices.SortStableFunc(behind, func(a, b stand) int {
		return cmp.Or(cmp.Compare(a.Phase, b.Phase), cmp.Compare(a.Bytes.Useful(), b.Bytes.Useful()))
	})
	text := ""
	for i, s := range behind {
		if i == maxNamed {
			return text + fmt.Sprintf(" and %d more", len(behind)-maxNamed)
		}
		if i > 0 {
			text += ", "
		}
		text += s.Name + " (" + s.Phase.String() + ")"
	}
	return text
}
