package peer

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/release"
)

// agent is the loop that owns what this host runs: it takes orders, starts and
// ends jobs, and says where they stand. Nothing else changes slots; whoever
// has something to say sends it here.
type agent struct {
	*host
	helpers
	boot    string
	slots   map[string]*slot // by app
	seq     uint64
	limits  *control.Limits // in effect, as they are reported; nil: the seeder knows of none
	events  chan event
	updates chan update
	lost    chan release.Digest
	jobs    sync.WaitGroup
	changed change // since the last report
	ground
}

// ground is what the loop knows of data_dir as a whole.
type ground struct {
	trouble string         // why no job can be begun; empty: none
	orders  control.Orders // the last that were taken, for when there is no trouble any more
	anew    string         // why this life found nothing there, until a seeder's orders have come
}

// helpers are whom the loop speaks to.
type helpers struct {
	poller  *poller
	report  *reporter
	keeper  *keeper
	swarm   node
	members func() []gossip.Member
	setKeys func(keys [][]byte) error
	metrics *metrics
	idle    func() // closes idle connections to seeders
}

// change says how soon it must be reported.
type change uint8

const (
	changeNone change = iota
	changeProgress
	changeUrgent
)

// run loops until ctx ends and every job has. It first goes on with the orders
// of an earlier life.
func (a *agent) run(ctx context.Context, woken <-chan gossip.Event) {
	old := sane(a.state.orders(), a.log)
	a.limit(old.Limits)
	a.swarm.SetTrackers(old.Trackers)
	a.take(ctx, old)
	a.restoreAll(ctx) // the end may have come between the removal of a corrupt one and its fetch
	a.needs()
	tick := time.NewTicker(a.timing.neighbours)
	defer tick.Stop()
	for {
		select {
		case u := <-a.updates:
			a.update(ctx, u)
		case e := <-a.events:
			a.event(ctx, e)
		case f := <-a.asks:
			f(a)
		case d := <-a.lost:
			a.restore(ctx, d)
		case e, ok := <-woken:
			if !ok {
				woken = nil
			}
			a.gossip(e)
		case <-tick.C:
			a.hint()
		case <-ctx.Done():
			a.drain()
			return
		}
		a.tell()
	}
}

// drain waits for the jobs, whose contexts have ended, and hears them out.
func (a *agent) drain() {
	done := make(chan struct{})
	go func() {
		a.jobs.Wait()
		close(done)
	}()
	for {
		select {
		case e := <-a.events:
			if s := a.slots[e.app]; e.ended && s.job != nil {
				s.job.letGo()
			}
		case <-done:
			return
		}
	}
}

// update follows the poller, to another seeder or to new orders. Every new
// connection and every new epoch begins with orders, even if they are the old
// ones, and so with a report.
func (a *agent) update(ctx context.Context, u update) {
	if u.client == nil {
		a.metrics.connected.Set(0)
		return
	}
	a.metrics.connected.Set(1)
	if u.orders == nil {
		a.report.use(u.client)
	}
	if u.orders != nil {
		if u.silent && a.trouble == "" {
			a.notice(a.silence())
		}
		a.limit(u.orders.Limits)
		a.useKeys(*u.orders)
		a.swarm.SetTrackers(u.orders.Trackers)
		a.take(ctx, *u.orders)
		a.anew = ""
		a.needs()
	}
}

// take makes orders the wanted state of all apps.
func (a *agent) take(ctx context.Context, o control.Orders) {
	a.orders = o
	wanted := map[string]*control.Order{}
	for _, order := range o.Orders {
		wanted[order.Manifest.App] = &order
		if a.slots[order.Manifest.App] == nil {
			a.slots[order.Manifest.App] = a.newSlot(order.Manifest.App)
		}
	}
	for app, s := range a.slots {
		s.order = wanted[app]
		a.consider(ctx, s)
		if s.isEmpty() {
			delete(a.slots, app)
		}
	}
	a.changed = changeUrgent
}

// newSlot reads an app's record, unless that could take for ever: then it is read
// when a job is to be begun.
func (a *agent) newSlot(app string) *slot {
	if a.trouble != "" {
		return &slot{rec: record{unreadable: errors.New(a.trouble)}}
	}
	return &slot{rec: a.state.app(a.layout, app), anew: a.anew}
}

// consider brings a slot closer to its order: lets a job go on, stops one that
// is for something else, or starts one. A stopped job comes back here when it
// has ended; one that runs a hook ends in its own time.
func (a *agent) consider(ctx context.Context, s *slot) {
	if s.chore {
		s.wait()
		return
	}
	if s.job != nil && s.job.serves(s.order) {
		s.job.follow(s.order)
		if !s.job.repair {
			s.verdict = nil
		}
		return
	}
	s.verdict = nil
	if s.job != nil {
		s.job.cancel()
		if s.order != nil {
			s.verdict = pending(*s.order)
		}
		return
	}
	if s.order == nil {
		s.anew = ""
		return
	}
	if a.trouble == "" {
		s.reread(a.state, a.layout)
	}
	p, report := decide(*s.order, s.rec)
	if p == planRun {
		a.start(ctx, s, report, false)
		return
	}
	s.verdict, s.anew = &report, ""
	if p == planKeep {
		a.log.Info("release is live already", zap.String("app", report.App),
			zap.Stringer("release", s.order.Manifest.Ref()), zap.String("deploy", report.Deploy))
	}
}

// start begins a job for a slot's order. The artifact is held before anything
// else can find that nobody needs it.
func (a *agent) start(ctx context.Context, s *slot, report control.JobReport, repair bool) {
	if ctx.Err() != nil || repair && a.trouble != "" {
		return
	}
	if a.trouble != "" {
		s.verdict = pending(*s.order)
		return
	}
	if !repair {
		report.Reason, s.anew = s.anew, ""
	}
	s.watched = false
	work, cancel := context.WithCancel(ctx)
	s.job = &running{
		order: *s.order, report: report, repair: repair, cancel: cancel, letGo: a.cache.hold(s.order.Manifest.SHA256),
		held: new(atomic.Bool),
	}
	s.job.follow(s.order)
	j := newJob(a.host, *s.order, s.rec, report, a.events)
	j.repair, j.held = repair, s.job.held
	a.jobs.Go(func() { j.run(ctx, work) })
}

// event takes in what a job says.
func (a *agent) event(ctx context.Context, e event) {
	s := a.slots[e.app]
	if e.chore != nil {
		a.choreEnded(ctx, s, e)
		return
	}
	if e.report.Phase != s.job.report.Phase {
		a.changed = changeUrgent
	} else {
		a.changed = max(a.changed, changeProgress)
	}
	s.learn(e.rec)
	s.job.report = e.report
	if e.report.Phase == release.Active && !s.job.repair {
		s.moved = "" // also where the link was set back to what it was to be
	}
	if !e.ended {
		return
	}
	job := s.job
	s.job = nil
	job.cancel()
	if !job.repair {
		a.metrics.ended(e.report)
	}
	a.consider(ctx, s)
	a.needs() // before the artifact is let go, or a sweep could take it
	if d := job.order.Manifest.SHA256; !job.repair && !a.cache.isThere(d) {
		a.restore(ctx, d) // it was written to, and removed, while the job ran
	}
	job.letGo()
	a.changed = changeUrgent
}

// gossip wakes the poller when orders may have changed, or a seeder is there
// again.
func (a *agent) gossip(e gossip.Event) {
	if e.Kind == gossip.Woken || e.Kind == gossip.Joined && e.Member.Role() == gossip.RoleSeeder {
		a.poller.wake()
	}
}

// needs tells the keeper which artifacts must stay, and which folders and files
// could go if room had to be made.
func (a *agent) needs() {
	needed, core := map[release.Digest]bool{}, map[release.Digest]bool{}
	var spare []string
	for app, s := range a.slots {
		s.needs(needed, nil)
		s.needs(core, s.spare())
		for _, version := range s.spare() {
			spare = append(spare, a.layout.release(app, version))
		}
	}
	for d := range needed {
		if !core[d] {
			spare = append(spare, a.cache.path(d))
		}
	}
	a.keeper.want(needed, spare)
}

// tell reports if there is anything new.
func (a *agent) tell() {
	if a.changed == changeNone {
		return
	}
	a.seq++
	r := control.Report{
		Host: a.cfg.Name, Boot: a.boot, Seq: a.seq, Running: map[string]string{}, Staged: map[string][]string{}, Limits: a.limits,
	}
	for app, s := range a.slots {
		if version := s.running(); version != "" {
			r.Running[app] = version
		}
		if len(s.rec.Staged) > 0 {
			r.Staged[app] = slices.Sorted(maps.Keys(s.rec.Staged))
		}
		r.Jobs = append(r.Jobs, s.explained(cmp.Or(a.trouble, s.why()))...)
	}
	a.report.offer(r, a.changed == changeUrgent)
	a.changed = changeNone
}
