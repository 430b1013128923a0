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

// judge brings a running deploy up to date with what its hosts reported and with
// the time: it lets hosts go live, pauses, or ends.
func (b *books) judge(d *deploy, now time.Time) {
	d.judged, d.stale = now, false
	stands := d.stands()
	for i, name := range d.Hosts {
		stands[i].Told = i < len(d.may) && d.may[i]
		if h := b.fleet.hosts[name]; h != nil {
			stands[i].Heard, stands[i].Gone, stands[i].Spared = h.LastSeen, h.member == control.HostFailed, b.fleet.silentFrom(h, now)
			stands[i].Lingers = b.lingers(d, h, now)
		}
	}
	p := d.program
	p.Aside, p.Late = b.aside(d, now), b.lateAgain(d, now)
	o := rollout.Decide(p, d.Course, b.started, stands, now)
	if b.fleet.hearing.excuses(b.pace, now) {
		o.Waits = b.fleet.hearing.waits()
	}
	moved, told := !slices.Equal(d.may, o.May), d.may
	b.follow(d, o, now)
	switch {
	case o.Fallback:
		b.fallBack(d, told, o.Reason, now)
	case o.Phase.Ended():
		b.end(d, o.Phase, o.Reason, now)
	default:
		if moved { // else no order is another one, and the fleet is not gone through for each report
			b.retell(d, now)
		}
		b.takeBack(d, p.Aside, now)
	}
}

// follow takes over what was decided of a deploy that goes on.
func (b *books) follow(d *deploy, o rollout.Outcome, now time.Time) {
	changed, steps := d.waits != o.Waits, d.Course != o.Course
	d.waiting = 0
	for i, name := range d.Hosts {
		r := d.rows[name]
		changed = changed || r.Verdict != o.Verdicts[i] || r.Quiet != o.Quiet[i]
		r.Verdict, r.Quiet = o.Verdicts[i], o.Quiet[i]
		if o.May[i] && (r.Let.IsZero() || !d.may[i]) {
			r.Let, d.dirty = now.UTC(), true
		}
		if !r.Phase.Ended() {
			d.waiting++
		}
	}
	d.Course, d.may, d.letAll, d.waits = o.Course, o.May, o.All, o.Waits
	if !o.Phase.Ended() && (d.Phase != o.Phase || d.Reason != o.Reason) {
		b.logTurn(d, o)
		d.Phase, d.Reason, steps = o.Phase, o.Reason, true
	}
	if changed || steps {
		b.deploys.note(d, now)
	}
	if steps && (d.Course.Wave > 1 || d.Course.Hold != rollout.HoldNone) {
		b.deploys.save(d, now) // a restart goes on from here
		b.deploys.publish(d, now)
	}
}

// logTurn writes the line about a deploy that is paused, or goes on.
func (b *books) logTurn(d *deploy, o rollout.Outcome) {
	log := b.log.Info
	if o.Phase == release.DeployPaused {
		log = b.log.Warn
	}
	log("deploy is "+o.Phase.String(), zap.String("deploy", d.ID), zap.Stringer("release", d.Manifest.Ref()), zap.String("reason", o.Reason))
}

// end ends a deploy. Where it does not stay in force hosts get what they had before.
func (b *books) end(d *deploy, phase release.DeployPhase, reason string, now time.Time) {
	b.conclude(d, phase, reason, now)
	if !d.isOpen() {
		b.assignApp(d.Manifest.App, now)
	}
}

// conclude ends a deploy. Who was let go live goes on, where the deploy stays in force.
// Whose order it is no longer is for the caller to see to.
func (b *books) conclude(d *deploy, phase release.DeployPhase, reason string, now time.Time) {
	app := d.Manifest.App
	for i, name := range d.Hosts {
		if h := b.fleet.hosts[name]; h != nil && h.orders[app] == d && d.may[i] && !d.rows[name].Phase.Ended() {
			h.leave[app] = leave{d.ID, now}
		}
	}
	b.deploys.finish(d, phase, reason, now)
	if d.isOpen() {
		b.retell(d, now)
	}
}

// fallBack ends a deploy that failed, and has the hosts that went live go back: at once,
// for they are worse off the longer they wait, but no more together than the deploy let
// go live, and those first that are down already. The plan of the deploy that does so is
// on disk first: if the seeder is killed here, it is what the next start finds. Hosts that
// were told to go live, and have not said that they began, may have: they go back too.
func (b *books) fallBack(d *deploy, told []bool, reason string, now time.Time) {
	p := plan{Rollback: d.Fallback, Selector: d.Selector, For: d.ID, Rollout: release.Rollout{HostsAtOnce: d.Rollout.HostsAtOnce}}
	var rows []rollout.Row
	for i, name := range d.Hosts {
		h, r := b.fleet.hosts[name], d.rows[name]
		if h == nil { // forgotten
			continue
		}
		about := i < len(told) && told[i] && r.Phase >= release.Staged && !r.Shown().Phase.Ended()
		if about {
			h.leave[d.Manifest.App] = leave{d.ID, now}
		}
		if r.Live || about {
			p.Hosts, rows = append(p.Hosts, name), append(rows, *r)
		}
	}
	p.Turns = rollout.TurnsBack(b.zones(p.Hosts), rows)
	if len(p.Hosts) == 0 {
		b.end(d, release.DeployFailed, reason, now)
		return
	}
	back, err := b.release(d.Fallback.Statement.Ref())
	var next *deploy
	if err == nil {
		p.Manifest, p.Signatures = back.Manifest, back.Signatures
		next, err = b.write(p, now)
	}
	if err != nil {
		b.log.Error("hosts do not go back to the previous release", zap.String("deploy", d.ID), zap.Error(err))
		b.end(d, release.DeployFailed, reason+"; not gone back: "+err.Error(), now)
		return
	}
	d.FellBack = next.ID
	b.deploys.finish(d, release.DeployFailed, reason+"; "+wentBack(next), now)
	b.recordFallback(d, next)
	b.begin(next, now)
}

// recordFallback writes down who began a deploy that nobody asked for just then. The
// entry of the one that failed says who ordered it so.
func (b *books) recordFallback(d, next *deploy) {
	b.record(control.HistoryEntry{
		Who: "seeder", Action: control.ActionFallback, App: next.Manifest.App, Version: next.Manifest.Version, Deploy: next.ID,
		Result: control.ResultOK, Message: fmt.Sprintf("on behalf of deploy %s of %s, which failed: %d hosts go back", d.ID, d.Manifest.Ref(), len(next.Hosts)),
	})
}

func wentBack(to *deploy) string {
	return fmt.Sprintf("hosts that went live, or were about to, go back to %s by %s", to.Manifest.Version, to.ID)
}

// stands are the hosts that a deploy counts, as far as its rows tell.
func (d *deploy) stands() []rollout.Stand {
	stands := make([]rollout.Stand, len(d.Hosts))
	for i, name := range d.Hosts {
		stands[i].Row = *d.rows[name]
	}
	return stands
}

// count brings a deploy's Sent up to date. The swarm counts from when the
// torrent was offered, which a restart makes anew.
func (ds *deploys) count(d *deploy, now time.Time) {
	sent := ds.sent(d.Manifest.InfoHash)
	more := sent - d.sample
	if more < 0 {
		more = sent
	}
	d.sample = sent
	if more > 0 {
		d.Sent += more
		ds.note(d, now)
	}
}

// finish ends a deploy. The result is on disk before anyone is shown it.
func (ds *deploys) finish(d *deploy, phase release.DeployPhase, reason string, now time.Time) {
	ds.count(d, now)
	d.over(phase, reason, now)
	ds.ended++
	ds.save(d, now)
	ds.publish(d, now)
	ds.logEnd(d)
	ds.record(control.HistoryEntry{
		Who: "seeder", Action: control.ActionEnded, App: d.Manifest.App, Version: d.Manifest.Version, Deploy: d.ID,
		Result: phase.String(), Message: reason,
	})
	ds.rest(d)
}

// over sets how a deploy ended.
func (d *deploy) over(phase release.DeployPhase, reason string, now time.Time) {
	finished, letAll := now.UTC(), d.letAll
	d.Phase, d.Reason, d.Finished, d.LetAll = phase, reason, &finished, &letAll
}

// logEnd writes the one line about a deploy's end.
func (ds *deploys) logEnd(d *deploy) {
	phases := map[release.Phase]int{}
	for _, name := range d.Hosts {
		phases[d.rows[name].Shown().Phase]++
	}
	log := ds.log.Info
	if d.Phase == release.DeployFailed {
		log = ds.log.Warn
	}
	log("deploy ended", zap.String("deploy", d.ID), zap.Stringer("release", d.Manifest.Ref()),
		zap.Stringer("phase", d.Phase), zap.String("reason", d.Reason), zap.Int("hosts", len(d.Hosts)),
		zap.Int("active", phases[release.Active]), zap.Int("failed", phases[release.Failed]),
		zap.Int64("sent", d.Sent), zap.Duration("took", d.Finished.Sub(d.Started)))
}
