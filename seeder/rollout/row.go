package rollout

import (
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// Row is one host in one deploy: what the host reported, and what the seeder
// makes of it.
type Row struct {
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

// Shown is the row as status documents have it.
func (r Row) Shown() control.HostStatus {
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

// Merge returns the row after a host's report. What has ended stays so, until the
// host is told to try again; a word on an earlier attempt says nothing then. Before
// its end a job may go back, as when its agent was killed and began again.
func Merge(r Row, j control.JobReport, now time.Time) Row {
	if r.Phase.Ended() || j.Attempt != r.Attempt {
		return r
	}
	if r.Phase != j.Phase || r.Bytes != j.Bytes {
		r.Moved = now.UTC()
	}
	r.Phase, r.Reason, r.Bytes, r.Rate = j.Phase, j.Reason, j.Bytes, j.Rate
	r.FetchSeconds, r.StageSeconds, r.Hook, r.Check = j.FetchSeconds, j.StageSeconds, j.Hook, j.Check
	r.Unchanged, r.Refused, r.CutOff = j.Unchanged, j.Refused, j.CutOff
	r.Begun = r.Begun || Begins(j)
	r.Live = r.Live || r.Begun
	return r
}

// Relapse is the row of a host that was active when the deploy ended, and that has
// failed since: installed anew, it did the deploy once more, and its hook or check
// failed.
func Relapse(r Row, j control.JobReport, now time.Time) Row {
	if r.Phase != release.Active || j.Phase != release.Failed || j.Attempt != r.Attempt {
		return r
	}
	r.Phase = release.Pending
	r = Merge(r, j, now)
	r.Reason = "after the deploy had ended: " + r.Reason
	return r
}

// Begins reports whether a job's report shows that it went live or began to.
func Begins(j control.JobReport) bool {
	return j.Phase == release.Activating || j.Phase == release.Active || j.Hook != nil || j.Check != nil
}

// Again is the row of a host that is to try again. One that only the seeder calls
// failed goes on with what it is at.
func (r Row) Again(failedOnly bool) Row {
	if r.Phase == release.Failed {
		r.HostStatus = control.HostStatus{Name: r.Name, Zone: r.Zone, Late: r.Late, Attempt: r.Attempt + 1, Earlier: r.AllBytes()}
		r.Begun = false
	}
	r.Verdict, r.Quiet, r.Let, r.Retry = "", "", time.Time{}, failedOnly
	return r
}

// SameRow reports whether two rows look the same to who reads a status.
func SameRow(a, b Row) bool {
	if !sameHook(a.Hook, b.Hook) || !sameHook(a.Check, b.Check) {
		return false
	}
	a.Hook, b.Hook, a.Check, b.Check = nil, nil, nil, nil
	return a == b
}

func sameHook(a, b *control.HookResult) bool {
	return (a == nil) == (b == nil) && (a == nil || *a == *b)
}
