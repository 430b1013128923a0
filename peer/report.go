package peer

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"go.uber.org/zap"

	"crow/internal/control"
)

// maxReportPause bounds what a seeder may ask for between reports of progress.
const maxReportPause = time.Minute

// maxTails bounds the hook output in one report, in bytes. JSON may need six
// bytes for one, and a whole report must stay below control.MaxBodyLen.
const maxTails = 512 << 10

// maxFreeWait is how long a report waits for the room on disk to be known.
const maxFreeWait = time.Second

// reporter tells the seeder where this host stands, with one call at a time.
// Reports hold the full state, so only the newest is ever sent, and it is sent
// again until a seeder has taken it.
type reporter struct {
	timing  timing
	log     *zap.Logger
	unknown func()        // the seeder does not know this host
	free    func() *int64 // bytes of disk; nil: not known
	wake    chan struct{}

	mu      sync.Mutex
	client  *control.Client
	newest  *control.Report // not yet received by a seeder; nil: nothing new
	urgent  bool            // newest holds more than mere progress
	renewed bool            // the connection is new: don't sit out a pause for the old one
	plain   bool            // the seeder is of an earlier crow, and takes no report with what it does not know
}

func newReporter(t timing, log *zap.Logger, unknown func(), free func() *int64) *reporter {
	return &reporter{timing: t, log: log, unknown: unknown, free: promptly(free, maxFreeWait), wake: make(chan struct{}, 1)}
}

// offer replaces the report to send. An urgent one goes out at once.
func (r *reporter) offer(report control.Report, urgent bool) {
	trimTails(report.Jobs)
	r.mu.Lock()
	r.newest, r.urgent = &report, urgent || r.urgent && r.newest != nil
	r.mu.Unlock()
	r.poke()
}

// use sets the seeder to report to.
func (r *reporter) use(c *control.Client) {
	r.mu.Lock()
	r.client, r.renewed, r.plain = c, true, false
	r.mu.Unlock()
	r.poke()
}

func (r *reporter) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// due says what to send and how long to wait before it: no report means that
// there is nothing to send, or nobody to send it to.
func (r *reporter) due(now, progress, retry time.Time) (c *control.Client, report *control.Report, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newest == nil || r.client == nil {
		return nil, nil, 0
	}
	if r.renewed {
		r.renewed, retry = false, time.Time{}
	}
	at := retry
	if !r.urgent && progress.After(at) {
		at = progress
	}
	return r.client, r.newest, at.Sub(now)
}

// run sends until ctx ends.
func (r *reporter) run(ctx context.Context) {
	var progress, retry time.Time // before these, no mere progress, and nothing at all
	pauses, failing := r.timing.backoff(), false
	for {
		c, report, wait := r.due(time.Now(), progress, retry)
		if report == nil || wait > 0 {
			if !r.sleep(ctx, report != nil, wait) {
				return
			}
			continue
		}
		receipt, err := c.Report(ctx, r.worded(*report))
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if !failing {
				r.log.Warn("report was not received and is sent again", zap.String("seeder", c.URL()), zap.Error(err))
			}
			failing, retry = true, time.Now().Add(r.failed(err, pauses))
			continue
		}
		pauses.Reset()
		failing = false
		retry, progress = time.Time{}, time.Now().Add(r.period(receipt))
		r.received(report)
	}
}

// failed returns the pause before the next attempt.
func (r *reporter) failed(err error, pauses *backoff.ExponentialBackOff) time.Duration {
	if isCode(err, control.CodeUnknown) {
		r.unknown()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plain = r.plain || isCode(err, control.CodeUsage)
	return pauses.NextBackOff()
}

// worded is the report as it is sent: with the room that is left now, or without
// what an earlier crow's seeder does not know.
func (r *reporter) worded(report control.Report) control.Report {
	r.mu.Lock()
	plain := r.plain
	r.mu.Unlock()
	if !plain {
		report.Free = r.free()
		return report
	}
	report.Staged, report.Jobs = nil, slices.Clone(report.Jobs)
	for i := range report.Jobs {
		j := &report.Jobs[i]
		j.Check, j.Attempt, j.Rate = nil, 0, 0
	}
	return report
}

// received forgets the report unless a newer one has come meanwhile.
func (r *reporter) received(report *control.Report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.newest == report {
		r.newest, r.urgent = nil, false
	}
}

func (r *reporter) period(receipt control.Receipt) time.Duration {
	if receipt.NextMillis <= 0 {
		return r.timing.report
	}
	return min(time.Duration(receipt.NextMillis)*time.Millisecond, maxReportPause)
}

// sleep waits for a poke, and at most for the given time if it is limited. It
// returns false once ctx has ended.
func (r *reporter) sleep(ctx context.Context, limited bool, d time.Duration) bool {
	var late <-chan time.Time
	if limited {
		timer := time.NewTimer(d)
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-r.wake:
	case <-late:
	case <-ctx.Done():
		return false
	}
	return true
}

// trimTails shortens the output of hooks and checks, the same for all jobs, so that they fit into
// one report together. The end of an output says most and stays.
func trimTails(jobs []control.JobReport) {
	total, with := 0, 0
	for i := range jobs {
		for _, r := range tails(&jobs[i]) {
			total, with = total+len((*r).Tail), with+1
		}
	}
	if total <= maxTails {
		return
	}
	for i := range jobs {
		for _, r := range tails(&jobs[i]) {
			short := **r
			if over := len(short.Tail) - maxTails/with; over > 0 {
				short.Tail = shorten(short.Tail[over:], maxTails/with)
			}
			*r = &short
		}
	}
}
