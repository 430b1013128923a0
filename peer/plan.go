package peer

import (
	"crow/internal/control"
	"crow/internal/release"
)

// plan is what an order asks of a host that runs no job for the app.
type plan uint8

// The plans.
const (
	planRun     plan = iota // start a job
	planSettled             // the deploy ended here before; its result stands
	planKeep                // what is ordered is live already
)

// decide compares an order with what the host has and remembers. Its report is
// the result to show, or, for planRun, where the job begins. A failure stands
// until the order is of a later attempt; it always tells of its own, everything
// else of the order's. What differs in anything that a fetch goes by is a job's:
// that asks who vouches for it.
func decide(o control.Order, rec record) (plan, control.JobReport) {
	fresh := control.JobReport{Deploy: o.Deploy, App: o.Manifest.App, Version: o.Manifest.Version, Attempt: o.Attempt}
	result, known := rec.Results[o.Deploy]
	past := result.Report
	known = known && past.Version == o.Manifest.Version
	if known && past.Phase == release.Failed {
		if past.Attempt >= o.Attempt {
			return planSettled, past
		}
		known = false
	}
	past.Attempt = o.Attempt
	switch {
	case rec.isLive(o.Manifest) && known && past.Phase == release.Active:
		return planSettled, past
	case rec.isLive(o.Manifest):
		fresh.Phase, fresh.Unchanged = release.Active, true
		return planKeep, fresh
	case !known || past.Phase != release.Staged || !rec.Staged[o.Manifest.Version].is(o.Manifest):
		return planRun, fresh
	case o.Goal == control.GoalFetch && !rec.hasBegun(o):
		return planSettled, past
	}
	return planRun, past // it goes on from staged
}
