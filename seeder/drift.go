package seeder

import (
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// app is who runs what of an app, and why not what is wanted.
func (b *books) app(name string, now time.Time) (control.AppStatus, error) {
	s := control.AppStatus{App: name, Hosts: []control.AppHost{}}
	for _, h := range b.fleet.sorted() {
		d, version := h.orders[name], h.Running[name]
		if d == nil && version == "" {
			continue
		}
		a := control.AppHost{Name: h.Name, Running: version}
		if t, known := h.since[name]; known {
			a.Since = &t
		}
		if d != nil && !d.Rollout.FetchOnly {
			a.Wanted, a.Deploy = d.Manifest.Version, d.ID
			j, said := h.jobs[name]
			unwell := said && j.Deploy == d.ID && (j.Phase != release.Active || j.Reason != "") // its link is set before its hook runs
			if a.Wanted != version || unwell {
				a.Drift = b.drift(h, d, now)
			}
		}
		s.Hosts = append(s.Hosts, a)
	}
	if len(s.Hosts) == 0 && len(b.deploys.byApp[name]) == 0 && len(b.catalog.releases[name]) == 0 {
		err := notFound("no app is called %.80q", name)
		err.Hint = "crow releases lists the apps"
		return s, err
	}
	return s, nil
}

// drift says why a host does not run what it should.
func (b *books) drift(h *host, d *deploy, now time.Time) string {
	j, said := h.jobs[d.Manifest.App]
	said = said && j.Deploy == d.ID
	switch {
	case said && j.Phase == release.Failed:
		return "failed: " + j.Reason
	case h.State == control.HostLeft:
		return "its agent was stopped, last heard at " + h.LastSeen.UTC().Format(time.RFC3339)
	case h.State != control.HostAlive:
		return "not reachable: last heard at " + h.LastSeen.UTC().Format(time.RFC3339)
	case b.lingers(d, h, now):
		return "its hook of an earlier deploy may still run"
	case said && j.Phase == release.Active && j.Reason != "":
		return j.Reason // it was, and has found out since that there is more to say
	case said && j.Reason != "":
		return "it is " + j.Phase.String() + ": " + j.Reason
	case said && (d.lets(h) || j.Phase != release.Staged):
		return "it is " + j.Phase.String()
	case d.lets(h):
		return "it has not begun"
	case d.catchesUp(h):
		return "it waits until others have caught up"
	case d.Phase.Ended():
		return "deploy " + d.ID + " " + d.Phase.String() + " before its turn"
	case d.Phase == release.DeployPaused:
		return "deploy " + d.ID + " is paused"
	}
	return "its turn in deploy " + d.ID + " has not come"
}

// forget removes a host that is gone from the books. Deploys that count it go on
// without it.
func (b *books) forget(name string, now time.Time) (control.Host, error) {
	h := b.fleet.hosts[name]
	switch {
	case h == nil:
		err := notFound("no host is called %.128q", name)
		err.Hint = "crow hosts"
		return control.Host{}, err
	case h.State == control.HostAlive:
		return h.Host, usage("stop its agent first", "forget %s: it is there, last heard at %s, and would come back", name, h.LastSeen.UTC().Format(time.RFC3339))
	}
	delete(b.fleet.hosts, name)
	if err := b.fleet.write(now); err != nil {
		b.fleet.hosts[name] = h
		return h.Host, err
	}
	b.dismiss(h, now)
	for d := range b.deploys.awake {
		if r := d.rows[name]; r != nil && !d.Phase.Ended() && d.counts(name) && !r.Phase.Ended() {
			r.Phase, r.Reason, r.Moved, r.Forgotten = release.Failed, "forgotten by an operator: it does not count", now.UTC(), true
			b.deploys.note(d, now)
			b.judge(d, now)
		}
	}
	return h.Host, nil
}
