package seeder

import (
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
)

// judge brings a running deploy up to date with what its hosts reported and
// with the time, and ends it when all have ended.
func (b *books) judge(d *deploy, now time.Time) {
	d.judged = now
	o := decide(b.terms(d), b.stands(d, now), now)
	for i, name := range d.Hosts {
		if r := d.rows[name]; r.Verdict != o.verdicts[i] || r.Quiet != o.quiet[i] {
			r.Verdict, r.Quiet = o.verdicts[i], o.quiet[i]
			b.deploys.note(d, now)
		}
	}
	d.activate = o.activate
	if o.phase.Ended() {
		b.deploys.finish(d, o.phase, o.reason, now)
	}
}

// terms allow for a seeder that was away: its hosts may have finished since,
// and need the time to say so.
func (b *books) terms(d *deploy) terms {
	return terms{
		since: b.started, knock: d.Started.Add(min(b.pace.knock, b.pace.grace)), grace: b.pace.grace,
		until: later(d.Started.Add(b.pace.deadline), b.started.Add(b.pace.grace)), limit: b.pace.deadline,
	}
}

func (b *books) stands(d *deploy, now time.Time) []stand {
	stands := make([]stand, len(d.Hosts))
	for i, name := range d.Hosts {
		stands[i].row = *d.rows[name]
		if h := b.fleet.hosts[name]; h != nil {
			stands[i].heard = h.LastSeen
		}
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
	finished := now.UTC()
	d.Phase, d.Reason, d.Finished = phase, reason, &finished
	ds.save(d, now)
	ds.publish(d, now)
	ds.logEnd(d)
	ds.record(control.HistoryEntry{
		Who: "seeder", Action: control.ActionEnded, App: d.Manifest.App, Version: d.Manifest.Version, Deploy: d.ID,
		Result: phase.String(), Message: reason,
	})
	ds.rest(d)
}

// logEnd writes the one line about a deploy's end.
func (ds *deploys) logEnd(d *deploy) {
	phases := map[release.Phase]int{}
	for _, name := range d.Hosts {
		phases[d.rows[name].shown().Phase]++
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
