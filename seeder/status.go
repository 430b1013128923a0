package seeder

import (
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// Bounds of how often a deploy's watchers are shown a new status. What ends a
// deploy they see at once; progress at most this often, so that a thousand
// hosts' reports do not become a thousand documents of a thousand rows.
const (
	minShow    = 100 * time.Millisecond
	maxShow    = 2 * time.Second
	showPerRow = time.Millisecond
)

// watch lets many callers wait for one thing to change, at no cost while it
// does not.
type watch struct {
	revision uint64
	changed  chan struct{} // closed with the next revision
	fired    time.Time     // when revision began
	pending  bool          // something changed since
}

func newWatch(revision uint64) watch {
	return watch{revision: revision, changed: make(chan struct{})}
}

// fire begins a new revision and lets all go on who waited for it.
func (w *watch) fire(revision uint64, now time.Time) {
	close(w.changed)
	*w = watch{revision: revision, changed: make(chan struct{}), fired: now}
}

// note takes down that a deploy's result changed.
func (ds *deploys) note(d *deploy, now time.Time) {
	d.dirty, d.watch.pending = true, true
	ds.show(d, now)
}

// show publishes what changed in a deploy, if it is time to.
func (ds *deploys) show(d *deploy, now time.Time) {
	if d.watch.pending && now.Sub(d.watch.fired) >= d.showEvery() {
		ds.publish(d, now)
	}
}

func (ds *deploys) publish(d *deploy, now time.Time) {
	ds.revision++
	d.watch.fire(ds.revision, now)
}

func (d *deploy) showEvery() time.Duration {
	return min(max(time.Duration(len(d.rows))*showPerRow, minShow), maxShow)
}

// find returns a deploy by its id, or the newest of the app of that name. Ids
// come first; they are random, so that nobody calls an app as one by accident.
func (ds *deploys) find(idOrApp string) (*deploy, error) {
	if d := ds.byID[idOrApp]; d != nil {
		return d, nil
	}
	if d := ds.newest(idOrApp); d != nil {
		return d, nil
	}
	err := notFound("no deploy and no deployed app is called %.80q", idOrApp)
	err.Hint = "crow releases lists the apps"
	return nil, err
}

// status is the deploy's status document.
func (ds *deploys) status(d *deploy) (control.DeployStatus, error) {
	if err := ds.wake(d); err != nil {
		return control.DeployStatus{}, err
	}
	defer ds.rest(d)
	return d.status(), nil
}

// status is the status document of a deploy whose rows are in memory.
func (d *deploy) status() control.DeployStatus {
	s := control.DeployStatus{
		Schema: control.StatusSchema, Deploy: d.ID, App: d.Manifest.App, Version: d.Manifest.Version,
		Phase: d.Phase, Reason: d.Reason, Target: d.Selector, Started: d.Started, Finished: d.Finished,
		Artifact: control.Artifact{SHA256: d.Manifest.SHA256, Bytes: d.Manifest.Size},
		Hosts:    make([]control.HostStatus, 0, len(d.rows)),
		Rollout:  d.Rollout, Rollback: d.Rollback != nil, WaitsFor: d.waits, Fallback: d.FellBack, Key: d.Key, Waves: d.waves(),
		SeederBytesSent: d.Sent, Revision: d.watch.revision,
	}
	switch {
	case d.Phase == release.DeployPaused:
		s.PausedBy = string(d.Course.Hold)
	case d.Phase.Ended():
		s.WaitsFor = ""
	}
	wave := d.waveOf()
	var received int64
	for _, r := range d.sortedRows() {
		h := r.Shown()
		h.Wave = wave[r.Name]
		s.Hosts = append(s.Hosts, h)
		received += r.AllBytes().Seeder
	}
	// A seeder that was killed has lost count of its last seconds. Its hosts have not.
	s.SeederBytesSent = max(s.SeederBytesSent, received)
	return s
}
