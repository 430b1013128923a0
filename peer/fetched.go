package peer

import (
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
	"crow/internal/swarm"
)

// fetched is where the bytes came from that a deploy has brought here so far. The
// swarm's journal knows which pieces are here, but not whence: to a life that goes
// on with them they would all be this host's own.
type fetched struct {
	Deploy string        `json:"deploy"`
	Bytes  release.Bytes `json:"bytes"`
}

// origins counts what one life of a fetch receives on top of those before it.
type origins struct {
	*job
	before release.Bytes
	noted  time.Time // when they were last written down
}

func (j *job) origins() *origins {
	o := &origins{job: j, noted: time.Now()}
	if f := j.rec.Fetched; f != nil && f.Deploy == j.order.Deploy {
		o.before = f.Bytes
	}
	return o
}

// sum is the count of all lives. What is here already and was not before them, they
// have brought; what they have brought and is not here was in vain, as is known once
// all is here.
func (o *origins) sum(now release.Bytes, whole bool) release.Bytes {
	kept := min(max(0, now.Local-o.before.Local), o.before.Received())
	now.Local -= kept
	now.Peer, now.Seeder, now.Origin = now.Peer+o.before.Peer, now.Seeder+o.before.Seeder, now.Origin+o.before.Origin
	if whole {
		now.Wasted += o.before.Received() - kept
	}
	return now
}

// progress takes the count as it is now into the report and, from time to time, to
// the disk.
func (o *origins) progress(p swarm.Progress) {
	o.report.Bytes = o.sum(p.Bytes, p.Done == p.Size)
	if time.Since(o.noted) >= o.timing.note {
		o.note()
	}
}

// note writes the count down for the next life. That is not worth a failure.
func (o *origins) note() {
	o.noted = time.Now()
	o.rec.Fetched = &fetched{Deploy: o.order.Deploy, Bytes: o.report.Bytes}
	if err := o.save(); err != nil {
		o.log.Warn("could not write down where bytes came from", zap.Error(err))
	}
}
