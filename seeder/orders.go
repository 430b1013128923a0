package seeder

import (
	"cmp"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
)

// Orders are desired state: per app, a host should have the newest deploy that
// is for it. Each host has a revision of its own, so that a deploy to some
// wakes nobody else; where deploys stand has other revisions, so that progress
// wakes no host at all.

// assignApp works out the orders of one app for all hosts and wakes those
// whose orders changed. A host whose deploy cannot be read keeps the order that
// it has, and keeps no other from its own. Where that ends a deploy all are
// looked at again: it may have been the order of hosts that it is not for any more.
func (b *books) assignApp(app string, now time.Time) {
	for again := true; again; {
		ended := b.deploys.ended
		b.assignEach(app, now)
		again = b.deploys.ended != ended
	}
}

func (b *books) assignEach(app string, now time.Time) {
	for _, h := range b.fleet.hosts {
		moved, err := b.assign(h, app, now)
		if err != nil {
			b.log.Error("order not worked out", zap.String("host", h.Name), zap.String("app", app), zap.Error(err))
		}
		if moved {
			b.tell(h, now)
		}
	}
}

// assignAll works out all orders of one host.
func (b *books) assignAll(h *host, now time.Time) (moved bool, err error) {
	for app := range b.deploys.byApp {
		ended := b.deploys.ended
		one, err := b.assign(h, app, now)
		if err != nil {
			return moved, err
		}
		moved = moved || one
		if b.deploys.ended != ended {
			b.assignApp(app, now) // others lose what this host's move ended
		}
	}
	h.list = h.orderList()
	return moved, nil
}

// assign gives a host the deploy of an app that is for it. A running deploy
// that loses one of its hosts to a newer one is superseded: it could not end.
func (b *books) assign(h *host, app string, now time.Time) (moved bool, err error) {
	d, old := b.newestFor(h, app), h.orders[app]
	if d == old {
		return false, nil
	}
	if d != nil {
		if err := b.deploys.wake(d); err != nil {
			return false, err
		}
		if old != nil && old.mayLinger(h) {
			h.lingers[app] = now
		}
		d.orders++
		h.orders[app] = d
		b.admit(d, h, now)
	} else {
		delete(h.orders, app)
		delete(h.lingers, app)
	}
	if old != nil {
		old.orders--
		b.deploys.rest(old)
	}
	b.supersede(app, h, d, now)
	return true, nil
}

func (b *books) newestFor(h *host, app string) *deploy {
	for _, d := range slices.Backward(b.deploys.byApp[app]) {
		if d.isFor(h) {
			return d
		}
	}
	return nil
}

// admit gives a host that came late to a deploy a row, outside the count.
func (b *books) admit(d *deploy, h *host, now time.Time) {
	if r := d.rows[h.Name]; r != nil {
		r.Zone = cmp.Or(r.Zone, h.Labels[zoneLabel])
		if r.Forgotten { // and is back: it is one that was off
			*r = rollout.Row{HostStatus: control.HostStatus{Name: r.Name, Zone: r.Zone, Attempt: r.Attempt}, Verdict: r.Reason}
			b.deploys.note(d, now)
		}
		return
	}
	d.rows[h.Name] = &rollout.Row{HostStatus: control.HostStatus{Name: h.Name, Zone: h.Labels[zoneLabel], Late: true}}
	b.deploys.note(d, now)
}

// supersede ends the running deploys of an app that count a host whose order
// is now a newer one.
func (b *books) supersede(app string, h *host, by *deploy, now time.Time) {
	if by == nil {
		return
	}
	for _, d := range b.deploys.byApp[app] {
		switch {
		case d.Seq >= by.Seq || d.Phase.Ended() || !d.counts(h.Name):
		case by.For == d.ID: // a kill came between the two
			d.FellBack = by.ID
			b.recordFallback(d, by)
			b.conclude(d, release.DeployFailed, "too many hosts failed; "+wentBack(by), now)
		default:
			b.conclude(d, release.DeploySuperseded, "superseded by "+by.ID+" ("+by.Manifest.Ref().String()+")", now)
		}
	}
}

// tell gives a host's waiting poll its new orders.
func (b *books) tell(h *host, now time.Time) {
	h.list = h.orderList()
	h.watch.fire(h.watch.revision+1, now)
	select {
	case b.stir <- struct{}{}:
	default: // signalled already
	}
}

// retell tells hosts whose order is the deploy what has changed in it.
func (b *books) retell(d *deploy, now time.Time) {
	for _, h := range b.fleet.hosts {
		if h.orders[d.Manifest.App] == d {
			b.retellHost(d, h, now)
		}
	}
}

func (b *books) retellHost(d *deploy, h *host, now time.Time) {
	o := d.order(h)
	same := func(old control.Order) bool {
		return old.Deploy == o.Deploy && old.Goal == o.Goal && old.Attempt == o.Attempt
	}
	if !slices.ContainsFunc(h.list, same) {
		b.tell(h, now)
	}
}

// dismiss takes a forgotten host's orders back, and its rows where it was not
// counted: hosts that come and go under ever new names would else make them ever more.
func (b *books) dismiss(h *host, now time.Time) {
	for _, d := range h.orders {
		if r := d.rows[h.Name]; r != nil && r.Late {
			delete(d.rows, h.Name)
			b.deploys.note(d, now)
		}
		d.orders--
		b.deploys.rest(d)
	}
}

func (h *host) orderList() []control.Order {
	list := make([]control.Order, 0, len(h.orders))
	for _, d := range h.orders {
		list = append(list, d.order(h))
	}
	slices.SortFunc(list, func(a, b control.Order) int { return cmp.Compare(a.Manifest.App, b.Manifest.App) })
	return list
}

// inForce returns the releases that some host is ordered to have, by infohash:
// those that the swarm must be offered.
func (b *books) inForce() map[release.Digest]release.Manifest {
	wanted := map[release.Digest]release.Manifest{}
	for _, h := range b.fleet.hosts {
		for _, d := range h.orders {
			wanted[d.Manifest.InfoHash] = d.Manifest
		}
	}
	return wanted
}
