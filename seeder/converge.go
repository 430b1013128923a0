package seeder

import (
	"cmp"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// Hosts that were off, were installed anew or came later catch up by themselves:
// they have an order like any other, and fetch at once. This file lets them go live,
// a few at a time, when many come at once.

// minCatchUp and catchUpShare are how many hosts of an app may catch up at the same
// time, unless its deploy says how many go live at once.
const minCatchUp = 10

var catchUpShare = release.Percent(10)

// converge gives leave to hosts that wait to catch up.
func (b *books) converge(now time.Time) {
	b.converged = now
	behind := map[*deploy][]*host{}
	for _, h := range b.fleet.hosts {
		for _, d := range h.orders {
			if d.catchesUp(h) {
				behind[d] = append(behind[d], h)
			}
		}
	}
	for d, hosts := range behind {
		b.giveLeave(d, hosts, now)
	}
}

// catchesUp reports whether a host has to come to a deploy's release outside the
// deploy's own course.
func (d *deploy) catchesUp(h *host) bool {
	if d.Rollout.FetchOnly || !d.hasLetAll() || d.stays(h) {
		return false
	}
	return d.Phase.Ended() || !d.counts(h.Name)
}

// hasStaged reports whether a host has said that it has the deploy's release, and
// could go live with it.
func (d *deploy) hasStaged(h *host) bool {
	j, said := h.jobs[d.Manifest.App]
	return said && j.Deploy == d.ID && j.Phase >= release.Staged
}

// giveLeave lets as many hosts go live as may at once, by name. Only who could go live
// at once gets leave: one that never comes to have the release must not keep the others
// from it.
func (b *books) giveLeave(d *deploy, behind []*host, now time.Time) {
	app := d.Manifest.App
	free := cmp.Or(d.Rollout.HostsAtOnce, max(minCatchUp, catchUpShare.Up(d.orders)))
	var waiting []*host
	for _, h := range behind {
		switch {
		case h.State != control.HostAlive:
		case h.leave[app] == d.ID:
			free--
		case d.hasStaged(h):
			waiting = append(waiting, h)
		}
	}
	slices.SortFunc(waiting, func(a, b *host) int { return cmp.Compare(a.Name, b.Name) })
	for _, h := range waiting {
		if free <= 0 {
			return
		}
		h.leave[app] = d.ID
		free--
		b.tell(h, now)
	}
}
