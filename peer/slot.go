package peer

import (
	"context"
	"slices"
	"sync/atomic"

	"crow/internal/control"
	"crow/internal/release"
)

// slot is one app on this host as the agent's loop sees it.
type slot struct {
	rec     record             // the newest that a job has told, or the last one's
	order   *control.Order     // what the host should have; nil: nothing is ordered
	verdict *control.JobReport // on the order, when no job works on it
	job     *running           // at most one for each app
	chore   bool               // something else has the record, and gives it back
	watched bool               // a look is under way, and nobody had the record since it began
	moved   string             // where the link leads, if somebody else has set it
	anew    string             // why the next job brings back what was there already; empty: it was not
}

// isIdle reports whether the record is the loop's own.
func (s *slot) isIdle() bool { return s.job == nil && !s.chore }

// spare names the releases, newest first, that the app can do without; none while
// somebody else has the record.
func (s *slot) spare() []string {
	if !s.isIdle() {
		return nil
	}
	return s.surplus(0, "")
}

// surplus is the record's, with what is ordered and where the link leads: that
// is told by who removes anything, as the loop has only seen it and reads no disk.
func (s *slot) surplus(keep int, live string) []string {
	wanted := ""
	if s.order != nil {
		wanted = s.order.Manifest.Version
	}
	return s.rec.surplus(keep, wanted, s.moved, live)
}

// learn takes what a job or a chore says of the app. Where the link leads counts
// for somebody else's doing until crow has set it anew.
func (s *slot) learn(rec record) {
	if rec.current != s.rec.current {
		s.moved = ""
	}
	s.rec = rec
}

// running is a job under way.
type running struct {
	order  control.Order
	report control.JobReport
	repair bool
	cancel context.CancelFunc // of its steps before activation
	letGo  func()             // of the artifact
	held   *atomic.Bool       // it must not begin to activate
}

// serves reports whether the job is for the order. Of which attempt does not
// matter: should it fail, it is tried again.
func (r *running) serves(o *control.Order) bool { return o != nil && r.order.Deploy == o.Deploy }

// follow has the job go as far as the order's goal is now. One that has begun to
// activate goes on to its end; one that was to fetch ends with that, and
// another goes on from there.
func (r *running) follow(o *control.Order) { r.held.Store(o.Goal == control.GoalFetch) }

// reread looks whether somebody has removed, or mended, a record that could not
// be read. No job may run.
func (s *slot) reread(st state, l layout) {
	if s.rec.unreadable == nil || s.order == nil {
		return
	}
	if rec := st.app(l, s.order.Manifest.App); rec.unreadable == nil {
		s.rec = rec
	}
}

// isEmpty reports whether there is nothing left to know of the app.
func (s *slot) isEmpty() bool {
	return s.order == nil && s.isIdle() && s.rec.current == "" && len(s.rec.Staged) == 0 && len(s.rec.Results) == 0
}

// reports is what the slot has to say: where the order stands, what still runs
// for an older one, and the last result before them, which a seeder may have
// missed.
func (s *slot) reports() []control.JobReport {
	var all []control.JobReport
	if s.job != nil && !s.job.repair {
		all = append(all, s.job.report)
	}
	if s.verdict != nil && (len(all) == 0 || all[0].Deploy != s.verdict.Deploy) {
		all = append(all, *s.verdict)
	}
	deploy := ""
	if s.order != nil {
		deploy = s.order.Deploy
	}
	last, ok := s.rec.newestResult(deploy)
	for _, r := range all {
		ok = ok && r.Deploy != last.Deploy
	}
	if ok {
		all = append(all, last)
	}
	return all
}

// vital names the releases that are live or ordered, and on disk.
func (s *slot) vital() (versions []string) {
	for version := range s.rec.Staged {
		if version == s.rec.current || s.order != nil && s.order.Manifest.Version == version {
			versions = append(versions, version)
		}
	}
	return versions
}

// explained are the reports, with what there is to say of the order beside them.
func (s *slot) explained(why string) []control.JobReport {
	all := s.reports()
	for i := range all {
		if why != "" && all[i].Phase != release.Failed && s.order != nil && all[i].Deploy == s.order.Deploy {
			all[i].Reason = shorten(why, control.MaxReasonLen)
		}
	}
	return all
}

// why is what there is to say of a link that somebody else has set. While a job
// runs it has its own to say.
func (s *slot) why() string {
	if s.moved == "" || s.job != nil && !s.job.repair {
		return ""
	}
	return "its current was set to " + s.moved + " by somebody else: " + remedy(s.moved)
}

// running is the version that the link leads to; empty if it is none of crow's.
func (s *slot) running() string {
	switch {
	case s.moved == "":
		return s.rec.current
	case release.ValidateVersion(s.moved) != nil:
		return ""
	}
	return s.moved
}

// needs adds the artifacts that the app's releases are made of, but for those
// that it can do without, and those that are ordered or under way.
func (s *slot) needs(needed map[release.Digest]bool, without []string) {
	for version, p := range s.rec.Staged {
		if !slices.Contains(without, version) {
			needed[p.SHA256] = true
		}
	}
	if s.order != nil {
		needed[s.order.Manifest.SHA256] = true
	}
	if s.job != nil {
		needed[s.job.order.Manifest.SHA256] = true
	}
}
