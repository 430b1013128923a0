package seeder

import (
	"slices"

	"crow/internal/release"
)

// This file says for whom a deploy is in force, and who of them may go live.

// isFor reports whether the deploy is what a host should have: one that it counts,
// or one that its selector matches, whenever that was born. One that ended before it
// had let everybody go live is only for hosts that it did get: the others keep what
// they had before.
func (d *deploy) isFor(h *host) bool {
	if !d.counts(h.Name) && !d.Selector.Match(h.Name, h.Labels) {
		return false
	}
	if d.isOpen() {
		return true
	}
	if d.rows == nil {
		return d.got[h.Name]
	}
	r := d.rows[h.Name]
	return r != nil && r.Live
}

// isOpen reports whether the deploy is for all its hosts, and for those that come
// later.
func (d *deploy) isOpen() bool {
	switch d.Phase {
	case release.DeployRunning, release.DeployPaused:
		return true
	case release.DeployAborted:
		return false
	}
	return !d.Rollout.FetchOnly && d.hasLetAll()
}

// hasLetAll reports whether every host has had its turn to go live.
func (d *deploy) hasLetAll() bool { return d.Phase == release.DeploySucceeded || d.letAll }

// lets reports whether a host may go live. After the deploy's end, and where it does
// not count, that is as converge gives leave. What it runs does not say enough: its link
// may lead to the release whose hook failed.
func (d *deploy) lets(h *host) bool {
	app := d.Manifest.App
	if i, ok := slices.BinarySearch(d.Hosts, h.Name); ok && !d.Phase.Ended() {
		return i < len(d.may) && d.may[i]
	}
	r := d.rows[h.Name]
	runs := h.Running[app] == d.Manifest.Version && r != nil && r.Phase == release.Active
	return runs || d.hasBegun(h) || h.leave[app].deploy == d.ID
}

// hasBegun reports whether a host has begun to go live, or went: it goes on whatever is
// held. One that was installed anew since has not, although its row tells of the time
// before.
func (d *deploy) hasBegun(h *host) bool {
	r := d.rows[h.Name]
	if r == nil || !r.Begun {
		return false
	}
	j, said := h.jobs[d.Manifest.App]
	return !r.Phase.Ended() || said && j.Deploy == d.ID && j.Phase.Ended()
}

// stays reports whether a host has done with an order for good: it runs the
// release, or has failed to.
func (d *deploy) stays(h *host) bool {
	j, said := h.jobs[d.Manifest.App]
	return said && j.Deploy == d.ID && j.Phase.Ended()
}

// mayLinger reports whether a host that loses the deploy to another one may be going
// live by it, as far as is known: it was let, and has not said how it ended.
func (d *deploy) mayLinger(h *host) bool {
	if !d.lets(h) {
		return false
	}
	r := d.rows[h.Name]
	if j, said := h.jobs[d.Manifest.App]; said && j.Deploy == d.ID && (r == nil || j.Attempt >= r.Attempt) {
		return !j.Phase.Ended()
	}
	return r != nil && !r.Phase.Ended()
}
