package peer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/peer/hook"
)

// errStopped ends a job without a result: a newer order took its place, or the
// agent ends and will go on with it at its next start.
var errStopped = errors.New("job stopped")

// step is what a failure's reason begins with: where in the order it was.
type step string

// The steps, in their order.
const (
	stepOrder    step = "order"
	stepFetch    step = "fetch"
	stepVerify   step = "verify"
	stepStage    step = "stage"
	stepActivate step = "activate"
	stepHook     step = "hook"
	stepCheck    step = "check"
)

// at words a step's failure.
func at(s step, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", s, err)
}

// host is what all jobs share.
type host struct {
	cfg     Config
	layout  layout
	state   state
	cache   *cache
	disk    *disk
	seeders seeders
	timing  timing
	asks    chan func(*agent) // for the loop to call
	cgroup  *hook.Cgroup      // of hooks with limits; nil: none has, or they can't be held
	log     *zap.Logger
}

// event is what a job tells the agent's loop.
type event struct {
	app    string
	report control.JobReport
	rec    record
	ended  bool          // the job is over and gives the record back
	chore  chan struct{} // not nil: a chore is, and the loop closes this
}

// job takes one order as far as its goal says: fetch, verify, stage, activate.
// It runs in one goroutine, which owns all of it.
type job struct {
	*host
	order  control.Order
	rec    record
	report control.JobReport
	app    App
	named  bool         // the config speaks of the app
	repair bool         // only bring the artifact of what is live back into the cache
	held   *atomic.Bool // set by the loop: stop before activation
	events chan<- event
	log    *zap.Logger
}

func newJob(h *host, o control.Order, rec record, report control.JobReport, events chan<- event) *job {
	app, named := h.cfg.app(o.Manifest.App)
	return &job{
		host: h, order: o, rec: rec.clone(), report: report, app: app, named: named, events: events,
		log: h.log.With(zap.String("app", o.Manifest.App), zap.Stringer("release", o.Manifest.Ref()), zap.String("deploy", o.Deploy)),
	}
}

// run goes through the steps and gives the record back to the loop. The steps
// before activation end with work, activation ends with life only: a hook that
// has begun is not cut short by a newer order.
func (j *job) run(life, work context.Context) {
	err := j.steps(life, work)
	switch {
	case errors.Is(err, errStopped):
		j.log.Info("job stopped", zap.Stringer("phase", j.report.Phase))
	case err != nil && j.repair:
		j.log.Warn("could not fetch the live release's artifact again", zap.Error(err))
	case err != nil:
		j.fail(err)
	}
	if !errors.Is(err, errStopped) {
		j.retain()
	}
	j.events <- event{app: j.name(), report: j.report, rec: j.rec.clone(), ended: true}
}

func (j *job) steps(life, work context.Context) error {
	if err := j.prepare(work); err != nil {
		return err
	}
	switch {
	case j.repair:
		return nil
	case !j.mayActivate():
		return j.conclude()
	case work.Err() != nil:
		return errStopped
	}
	return j.activate(life)
}

// mayActivate is asked once, when the release is staged.
func (j *job) mayActivate() bool {
	return j.rec.hasBegun(j.order) || j.order.Goal == control.GoalActivate && !j.held.Load()
}

// prepare brings the release onto the disk. What the job has claimed of that is
// let go when it is there, or when the job has failed.
func (j *job) prepare(work context.Context) error {
	defer j.disk.letGo(j.name())
	for _, step := range j.preparations() {
		if err := step(work); err != nil {
			if work.Err() != nil {
				return errStopped
			}
			return err
		}
	}
	return nil
}

// preparations are the steps before activation. Nothing is fetched, and nobody
// asked for anything, before the order is trusted.
func (j *job) preparations() []func(context.Context) error {
	if j.repair {
		return []func(context.Context) error{j.authentic, j.fetch, j.relink}
	}
	return []func(context.Context) error{j.check, j.trusted, j.fetch, j.stage}
}

func (j *job) name() string    { return j.order.Manifest.App }
func (j *job) version() string { return j.order.Manifest.Version }

func (j *job) check(context.Context) error { return at(stepOrder, j.acceptable()) }

// acceptable refuses orders that this host's config, or what it has, rules out.
func (j *job) acceptable() error {
	m := j.order.Manifest
	switch here := j.rec.Staged[m.Version]; {
	case !j.named:
		return fmt.Errorf("app %q is not in this host's config: add it under apps", m.App)
	case m.Validate() != nil:
		return m.Validate()
	case j.app.Unpack && !m.Format.IsArchive():
		return fmt.Errorf("unpack is true for app %q, but the artifact of %s is no archive: its format is %s, want tar, tar.gz or tar.zst",
			m.App, m.Ref(), m.Format)
	case j.rec.current == m.Version && here.Version == m.Version && here.SHA256 != m.SHA256:
		return fmt.Errorf("%s is live here with other content, sha256 %s: push it under another version", m.Ref(), here.SHA256)
	}
	return nil
}

// enter moves the report to a phase and tells the loop at once.
func (j *job) enter(p release.Phase) {
	if j.repair || !p.CanFollow(j.report.Phase) {
		return
	}
	j.report.Phase, j.report.Rate = p, 0
	j.tell()
}

// tell has the loop hear of the job now.
func (j *job) tell() {
	j.events <- event{app: j.name(), report: j.report, rec: j.rec.clone()}
}

// progress tells the loop of bytes, if it has time to listen: the next word
// comes soon.
func (j *job) progress() {
	if j.repair {
		return
	}
	select {
	case j.events <- event{app: j.name(), report: j.report, rec: j.rec.clone()}:
	default:
	}
}

// fail makes the failure the deploy's result here.
func (j *job) fail(err error) {
	j.log.Error("deploy failed on this host", zap.Stringer("phase", j.report.Phase), zap.Error(err))
	j.report.Reason = shorten(err.Error(), control.MaxReasonLen)
	j.report.Refused, j.report.Rate = errors.Is(err, errRefused), 0
	final := j.report
	final.Phase = release.Failed
	if j.rec.Activating != nil {
		j.rec.Broken = j.version() // also where it was good before: going back to it failed
	}
	j.rec.Activating = nil
	j.rec.conclude(final, time.Now())
	if err := j.save(); err != nil {
		j.log.Error("could not write down the failure", zap.Error(err))
	}
	j.enter(release.Failed)
}

// conclude writes down how far a deploy came that goes no further.
func (j *job) conclude() error {
	j.report.Reason = ""
	j.rec.conclude(j.report, time.Now())
	return at(stepStage, j.save())
}

func (j *job) save() error { return j.state.putApp(j.name(), j.rec) }

// shorten cuts s to at most n bytes of valid UTF-8.
func shorten(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
