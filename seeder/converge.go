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

// crowd are the hosts that have to come to a deploy's release outside its own course.
type crowd struct {
	busy    int     // that go live now
	waiting []*host // that could
}

// converge gives leave to hosts that wait to catch up.
func (b *books) converge(now time.Time) {
	b.converged = now
	behind := map[*deploy]*crowd{}
	for _, h := range b.fleet.hosts {
		for _, d := range h.orders {
			if behind[d] == nil {
				behind[d] = &crowd{}
			}
			b.look(behind[d], d, h, now)
		}
	}
	for d, c := range behind {
		b.giveLeave(d, *c, now)
	}
}

// look counts a host of a deploy. Only who could go live at once gets leave: one that
// never comes to have the release must not keep the others from it. One that falls
// silent loses its leave, and its place to another: it gets them anew when it is back.
func (b *books) look(c *crowd, d *deploy, h *host, now time.Time) {
	has := h.leave[d.Manifest.App].deploy == d.ID
	if has && !b.isThere(h, now) {
		b.takeLeave(d, h, now)
		return
	}
	switch {
	case b.isCatchingUp(d, h, now):
		c.busy++
	case b.lingers(d, h, now):
		if d.Phase.Ended() || !d.counts(h.Name) { // else it is of the deploy's own course
			c.busy++
		}
	case d.catchesUp(h) && !has && h.State == control.HostAlive && d.hasStaged(h):
		c.waiting = append(c.waiting, h)
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

// isCatchingUp reports whether a host goes live now outside the deploy's own course, as
// far as is known: it has leave, or has begun. Its link leads to the release before its
// hook runs, so what it runs says nothing. One that has taken longer than any may is not
// waited for.
func (b *books) isCatchingUp(d *deploy, h *host, now time.Time) bool {
	app := d.Manifest.App
	if !b.isThere(h, now) || !d.Phase.Ended() && d.counts(h.Name) {
		return false
	}
	j, said := h.jobs[app]
	said = said && j.Deploy == d.ID
	switch l := h.leave[app]; {
	case said && j.Phase.Ended():
		return false
	case l.deploy == d.ID:
		return now.Before(l.since.Add(b.pace.deadline))
	}
	return said && j.Phase == release.Activating || d.hasBegun(h)
}

// isThere reports whether a host has been heard within the grace. What gossip says of it
// does not count: it would come and go with its place.
func (b *books) isThere(h *host, now time.Time) bool {
	return h.State != control.HostLeft && now.Sub(later(h.LastSeen, b.fleet.silentFrom(h, now))) < b.pace.grace
}

// lingers reports whether a host that the deploy is for may still go live by an earlier
// one. One that has taken longer than any may is not waited for.
func (b *books) lingers(d *deploy, h *host, now time.Time) bool {
	since, does := h.lingers[d.Manifest.App]
	return does && now.Before(since.Add(b.pace.deadline)) && b.isThere(h, now)
}

// expect looks which hosts may still go live by the order that they have, before they are
// given the deploy in its place.
func (b *books) expect(d *deploy, now time.Time) {
	app := d.Manifest.App
	for _, h := range b.fleet.hosts {
		if old := h.orders[app]; old != nil && old != d && old.mayLinger(h) && b.newestFor(h, app) == d {
			h.lingers[app] = now
			b.admit(d, h, now)
		}
	}
}

// hasStaged reports whether a host has said that it has the deploy's release, and
// could go live with it.
func (d *deploy) hasStaged(h *host) bool {
	j, said := h.jobs[d.Manifest.App]
	return said && j.Deploy == d.ID && j.Phase >= release.Staged
}

// giveLeave lets as many hosts go live as may at once, by name. What a deploy says of
// hosts at once is said of all of them together: those of its own course are counted.
// Who had leave before a restart is heard first: it may be using it.
func (b *books) giveLeave(d *deploy, c crowd, now time.Time) {
	if d.Rollout.HostsAtOnce > 0 && b.isFresh(now) {
		return
	}
	app := d.Manifest.App
	free := max(minCatchUp, catchUpShare.Up(d.orders)) - c.busy
	if d.Rollout.HostsAtOnce > 0 {
		free = d.Rollout.HostsAtOnce - c.busy - b.inCourse(d, now)
	}
	slices.SortFunc(c.waiting, func(a, b *host) int { return cmp.Compare(a.Name, b.Name) })
	for _, h := range c.waiting[:min(max(free, 0), len(c.waiting))] {
		h.leave[app] = leave{d.ID, now}
		b.tell(h, now)
	}
}

func (b *books) takeLeave(d *deploy, h *host, now time.Time) {
	delete(h.leave, d.Manifest.App)
	b.retellHost(d, h, now)
}

// review takes leave from a host whose agent began anew and can't use it, by the first
// that it says. Until then its place is kept, for an agent follows the orders on its disk
// before it hears others. One that was installed anew has none, and has to fetch.
func (b *books) review(h *host, jobs []control.JobReport, now time.Time) {
	for app, l := range h.leave {
		uses := func(j control.JobReport) bool {
			return j.Deploy == l.deploy && (j.Phase == release.Staged || j.Phase == release.Activating)
		}
		if slices.ContainsFunc(jobs, uses) {
			continue
		}
		delete(h.leave, app)
		if d := h.orders[app]; d != nil {
			b.retellHost(d, h, now)
		}
	}
}

// inCourse is how many hosts go live now in the course of a deploy that goes on.
func (b *books) inCourse(d *deploy, now time.Time) (n int) {
	if d.Phase.Ended() {
		return 0
	}
	for i, name := range d.Hosts {
		h := b.fleet.hosts[name]
		if (d.may[i] || h != nil && b.lingers(d, h, now)) && !d.rows[name].Shown().Phase.Ended() {
			n++
		}
	}
	return n
}

// aside is how many hosts that a deploy does not count go live now, where that matters.
func (b *books) aside(d *deploy, now time.Time) (n int) {
	if d.Rollout.HostsAtOnce == 0 {
		return 0
	}
	for _, h := range b.late(d) {
		if b.isCatchingUp(d, h, now) || b.lingers(d, h, now) || !h.spoke && b.isFresh(now) && !d.rows[h.Name].Phase.Ended() {
			n++
		}
	}
	return n
}

// isFresh reports whether the seeder began so lately that hosts may go live by leave of
// its life before which have not said so yet. All that are there call within that time.
func (b *books) isFresh(now time.Time) bool { return now.Before(b.started.Add(b.pace.hold())) }

// late are the hosts that a deploy does not count, and whose order it is, or is about to
// be.
func (b *books) late(d *deploy) (all []*host) {
	for name, r := range d.rows {
		if h := b.fleet.hosts[name]; r.Late && h != nil && b.newestFor(h, d.Manifest.App) == d {
			all = append(all, h)
		}
	}
	return all
}

// lateAgain are the late hosts that a retry had try again, and whose end it waits for, as
// long as any host may take.
func (b *books) lateAgain(d *deploy, now time.Time) (names []string) {
	if !now.Before(d.Course.Began.Add(b.pace.deadline)) {
		return nil
	}
	for _, h := range b.late(d) {
		r := d.rows[h.Name]
		ended := r.Phase.Ended() || d.Rollout.FetchOnly && r.Phase == release.Staged
		if r.Attempt > 0 && !ended && b.isThere(h, now) {
			names = append(names, h.Name)
		}
	}
	slices.Sort(names)
	return names
}

// takeBack takes leave back from hosts that have not begun, as far as is known, where
// more than may go live at once: one of the deploy's own course that had begun is back.
func (b *books) takeBack(d *deploy, aside int, now time.Time) {
	if aside == 0 {
		return
	}
	over := aside + b.inCourse(d, now) - d.Rollout.HostsAtOnce
	for _, h := range b.late(d) {
		if over > 0 && h.leave[d.Manifest.App].deploy == d.ID && b.isCatchingUp(d, h, now) && !d.hasBegun(h) {
			b.takeLeave(d, h, now)
			over--
		}
	}
}
