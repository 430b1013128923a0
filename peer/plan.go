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
// the result to show, or, for planRun, where the job begins. What differs in
// anything that a fetch goes by is a job's: that asks who vouches for it.
func decide(o control.Order, rec record) (plan, control.JobReport) {
	fresh := control.JobReport{Deploy: o.Deploy, App: o.Manifest.App, Version: o.Manifest.Version}
	past, known := rec.Results[o.Deploy]
	known = known && past.Report.Version == o.Manifest.Version
	switch {
	case known && past.Report.Phase == release.Failed:
		return planSettled, past.Report
	case rec.isLive(o.Manifest) && known && past.Report.Phase == release.Active:
		return planSettled, past.Report
	case rec.isLive(o.Manifest):
		fresh.Phase, fresh.Unchanged = release.Active, true
		return planKeep, fresh
	case !known || past.Report.Phase != release.Staged || !rec.Staged[o.Manifest.Version].is(o.Manifest):
		return planRun, fresh
	case o.Goal == control.GoalFetch:
		return planSettled, past.Report
	}
	return planRun, past.Report // it goes on from staged
}
