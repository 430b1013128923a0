package seeder

import (
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
)

// steer changes the course of a deploy. What is so already is no error, so that two
// operators who think the same do no harm.
func (b *books) steer(d *deploy, s control.Steer, who string, now time.Time) error {
	var err error
	switch s.Verb {
	case control.VerbPause:
		err = b.pause(d, now)
	case control.VerbResume:
		err = b.resume(d, now)
	case control.VerbAbort:
		err = b.abort(d, who, now)
	case control.VerbRetry:
		err = b.retry(d, s.FailedOnly, now)
	}
	if err == nil {
		b.log.Info("deploy was steered", zap.String("deploy", d.ID), zap.Stringer("release", d.Manifest.Ref()),
			zap.String("verb", string(s.Verb)), zap.String("who", who))
	}
	return err
}

// steered steers a deploy and answers with its status.
func (b *books) steered(id string, s control.Steer, who string, now time.Time) (control.DeployStatus, error) {
	d, err := b.deploys.find(id)
	if err == nil {
		err = b.steer(d, s, who, now)
	}
	if err != nil {
		return control.DeployStatus{}, err
	}
	return b.deploys.status(d)
}

func (b *books) pause(d *deploy, now time.Time) error {
	switch {
	case d.Phase.Ended():
		return hasEnded("pause", d)
	case d.Course.Hold != rollout.HoldNone:
		return nil
	}
	return b.turn(d, func() { d.Course.Hold = rollout.HoldOperator }, now)
}

// resume goes on, and lets the failures so far pass.
func (b *books) resume(d *deploy, now time.Time) error {
	switch {
	case d.Phase.Ended():
		return hasEnded("resume", d)
	case d.Course.Hold == rollout.HoldNone:
		return nil
	}
	return b.turn(d, func() {
		d.Course.Hold, d.Course.Forgiven, d.Course.Began = rollout.HoldNone, rollout.Failed(d.stands()), now.UTC()
	}, now)
}

func (b *books) abort(d *deploy, who string, now time.Time) error {
	switch {
	case d.Phase == release.DeployAborted:
		return nil
	case d.Phase.Ended():
		return hasEnded("abort", d)
	}
	reason := "aborted by " + who
	if err := b.commit(d, func() { d.over(release.DeployAborted, reason, now) }, now); err != nil {
		return err
	}
	b.end(d, release.DeployAborted, reason, now)
	return nil
}

// retry has hosts that failed try again, also in a deploy that has ended, as long as
// no other has taken its place. Unless only those are meant the deploy goes on with
// all others too.
func (b *books) retry(d *deploy, failedOnly bool, now time.Time) error {
	if err := b.deploys.wake(d); err != nil {
		return err
	}
	failed := d.failed()
	stopped := d.Phase == release.DeployAborted || !d.Phase.Ended() && d.Course.Hold != rollout.HoldNone
	switch {
	case d.Phase == release.DeploySuperseded || d.Phase.Ended() && b.deploys.newest(d.Manifest.App) != d:
		return b.replaced(d)
	case len(failed) == 0 && (failedOnly || !stopped):
		b.deploys.rest(d)
		return nil
	}
	if err := b.turn(d, func() { d.reopen(failedOnly, now) }, now); err != nil {
		return err
	}
	for _, name := range failed {
		if h := b.fleet.hosts[name]; h != nil && !d.counts(name) && h.leave[d.Manifest.App].deploy == d.ID {
			delete(h.leave, d.Manifest.App) // it catches up as the others do
			b.tell(h, now)
		}
	}
	return nil
}

// failed are the hosts that have failed, also those that are not counted.
func (d *deploy) failed() (names []string) {
	for name, r := range d.rows {
		if r.Shown().Phase == release.Failed && !r.Forgotten {
			names = append(names, name)
		}
	}
	return names
}

func (b *books) replaced(d *deploy) error {
	newest := b.deploys.newest(d.Manifest.App)
	err := ended("retry %s: a newer deploy of %s has taken its place: %s", d.ID, d.Manifest.App, newest.ID)
	err.Hint = "crow deploy " + d.Manifest.Ref().String()
	if d.Rollback != nil || newest.Manifest.Counter > d.Manifest.Counter { // hosts have gone past it
		err.Hint = "crow rollback " + d.Manifest.App + " --to " + d.Manifest.Version
	}
	b.deploys.rest(d)
	return err
}

// reopen has hosts that failed try again.
func (d *deploy) reopen(failedOnly bool, now time.Time) {
	for _, r := range d.rows {
		if r.Shown().Phase == release.Failed && !r.Forgotten {
			*r = r.Again(failedOnly)
		}
	}
	c := &d.Course
	c.Began, c.WaveEnded = now.UTC(), time.Time{}
	switch {
	case !failedOnly:
		c.Hold, c.Forgiven = rollout.HoldNone, 0
	case d.Phase == release.DeployAborted && c.Hold == rollout.HoldNone:
		c.Hold = rollout.HoldOperator // the others stay as they are
	}
	if d.Phase.Ended() {
		d.Phase, d.Reason, d.Finished, d.FellBack = release.DeployRunning, "", nil, ""
	}
}

// turn changes the course of a deploy, and tells its hosts what follows.
func (b *books) turn(d *deploy, change func(), now time.Time) error {
	ended := d.Phase.Ended()
	if err := b.commit(d, change, now); err != nil {
		return err
	}
	b.deploys.note(d, now)
	if ended {
		d.sample = b.deploys.sent(d.Manifest.InfoHash)
		b.expect(d, now)
	}
	b.judge(d, now)
	b.assignApp(d.Manifest.App, now) // of a deploy that had ended, hosts may have had another
	b.retell(d, now)
	b.deploys.publish(d, now)
	return nil
}

// commit changes a deploy's result, and is not done before that is on disk: if the
// disk is full, nothing has changed.
func (b *books) commit(d *deploy, change func(), now time.Time) error {
	before, rows := d.result, map[string]rollout.Row{}
	for name, r := range d.rows {
		rows[name] = *r
	}
	change()
	d.saved = now
	err := b.deploys.write(d)
	if err == nil {
		return nil
	}
	d.result = before
	for name, r := range rows {
		*d.rows[name] = r
	}
	d.dirty = true // the change may be on disk all the same
	return fmt.Errorf("deploy %s: %w", d.ID, err)
}

func hasEnded(verb string, d *deploy) error {
	err := ended("%s %s: it has ended: %s", verb, d.ID, d.Phase)
	if slices.Contains([]release.DeployPhase{release.DeployFailed, release.DeployAborted}, d.Phase) {
		err.Hint = "crow retry " + d.ID
	}
	return err
}
