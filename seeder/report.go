package seeder

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
)

// Bounds of how long a host waits between reports of mere progress, so that
// all hosts at work together send about reportRate of them a second: their
// answers take from the link that pieces leave on.
const (
	minReport  = 500 * time.Millisecond
	maxReport  = 5 * time.Second
	reportRate = 32
)

// maxTails bounds the hooks' output that one deploy's documents hold, in bytes.
// Up to 500 hosts it cuts nothing.
const maxTails = 8 << 20

// report takes in where a host stands. What it says of deploys that are not
// for it, or long over, is passed over.
func (b *books) report(r control.Report, now time.Time) (control.Receipt, error) {
	h := b.fleet.hosts[r.Host]
	if h == nil || h.boot != r.Boot {
		return control.Receipt{}, unknownHost(r.Host)
	}
	b.fleet.heard(h, now)
	receipt := control.Receipt{Epoch: b.epoch, NextMillis: reportEvery(b.working()).Milliseconds()}
	if h.spoke && r.Seq <= h.seq {
		return receipt, nil // a repeat, or overtaken by a newer one
	}
	h.spoke, h.seq = true, r.Seq
	b.fleet.runs(h, r.Running, now)
	h.Free, h.staged = r.Free, r.Staged
	b.fleet.reportsLimits(h, r.Limits)
	if h.anew {
		h.anew = false
		b.review(h, r.Jobs, now)
	}
	h.settle(r.Jobs, now) // first: what follows gives places away
	for _, j := range r.Jobs {
		b.job(h, j, now)
	}
	h.settle(r.Jobs, now) // its order may be what it told of
	return receipt, nil
}

// job takes in where a host stands with one order.
func (b *books) job(h *host, j control.JobReport, now time.Time) {
	d := b.deploys.byID[j.Deploy]
	if d == nil || d.Manifest.App != j.App || d.Manifest.Version != j.Version {
		return
	}
	if h.orders[j.App] == d {
		h.jobs[j.App] = shorten(j, 0)
	}
	if d.rows == nil && (b.wentLive(d, h, j) || d.open[h.Name] && j.Phase.Ended()) {
		if err := b.deploys.wake(d); err != nil {
			b.log.Error("word on an ended deploy not taken down", zap.String("deploy", d.ID), zap.String("host", h.Name), zap.Error(err))
			return
		}
		defer b.deploys.rest(d)
	}
	if d.rows[h.Name] != nil {
		b.mark(d, h, j, now)
	}
	if h.orders[j.App] == d {
		b.retellHost(d, h, now) // it may have been installed anew, and have to wait for leave
	}
}

// mark brings a host's row in a deploy up to date with what it says.
func (b *books) mark(d *deploy, h *host, j control.JobReport, now time.Time) {
	r := d.rows[h.Name]
	before, next := *r, rollout.Merge(*r, shorten(j, maxTails/2/len(d.rows)), now)
	if d.Phase.Ended() && h.orders[j.App] == d {
		next = rollout.Relapse(next, shorten(j, maxTails/2/len(d.rows)), now)
	}
	if !before.Phase.Ended() && next.Phase == release.Failed && h.Running[j.App] == j.Version {
		next.Begun, next.Live = true, true // there was no hook to tell of
	}
	if rollout.SameRow(before, next) {
		return
	}
	*r = next
	b.deploys.note(d, now)
	if before.Phase != next.Phase {
		b.turned(d, h, before, now)
	}
}

// wentLive reports whether a host says that it went live by a deploy which had ended
// before it had this host: it had begun before it heard of the end. If the host has
// a newer order that is what counts.
func (b *books) wentLive(d *deploy, h *host, j control.JobReport) bool {
	if now := h.orders[j.App]; now != nil && now.Seq > d.Seq || d.got[h.Name] || !d.counts(h.Name) {
		return false
	}
	return rollout.Begins(j) || j.Phase == release.Failed && h.Running[j.App] == j.Version
}

// judgeAtOnce is up to how many hosts a deploy is judged with every word of one of them
// that could change its course; beyond, with the next tick.
const judgeAtOnce = 200

// turned follows a host that came to another phase than it had before.
func (b *books) turned(d *deploy, h *host, before rollout.Row, now time.Time) {
	r := d.rows[h.Name]
	if r.Phase.Ended() && d.counts(h.Name) {
		d.waiting--
	}
	if r.Phase == release.Failed {
		b.log.Warn("host failed its deploy", zap.String("deploy", d.ID), zap.Stringer("release", d.Manifest.Ref()),
			zap.String("host", h.Name), zap.String("reason", r.Reason))
	}
	switch {
	case d.Phase.Ended() && r.Live && !before.Live && !d.isOpen():
		b.assignApp(d.Manifest.App, now) // it went live before it heard of the end: the deploy is what it has
	case d.Phase.Ended():
	case d.waiting == 0 || len(d.Hosts) <= judgeAtOnce && r.Phase >= release.Staged:
		b.judge(d, now)
	default:
		d.stale = true
	}
}

// shorten keeps the end of what a job's hook and check wrote. The job is not changed.
func shorten(j control.JobReport, most int) control.JobReport {
	j.Hook, j.Check = shortenHook(j.Hook, most), shortenHook(j.Check, most)
	return j
}

func shortenHook(h *control.HookResult, most int) *control.HookResult {
	if h == nil || len(h.Tail) <= most {
		return h
	}
	short := *h
	short.Tail = tail(h.Tail, most)
	return &short
}

// working is how many hosts have yet to finish a running deploy.
func (b *books) working() int {
	n := 0
	for d := range b.deploys.awake {
		if !d.Phase.Ended() {
			n += len(d.Hosts)
		}
	}
	return n
}

func reportEvery(hosts int) time.Duration {
	return min(max(time.Duration(hosts)*time.Second/reportRate, minReport), maxReport)
}

func unknownHost(name string) error {
	return &control.Error{Code: control.CodeUnknown,
		Message: fmt.Sprintf("host %.128q is not known to this seeder: it has to say hello first", name)}
}

// validateReport checks a report's form and cuts its texts to their limits: a
// host whose hook is noisy must not be kept from reporting that.
func validateReport(r *control.Report) error {
	if err := release.ValidateHost(r.Host); err != nil {
		return err
	}
	if len(r.Running) > control.MaxApps || len(r.Jobs) > control.MaxJobs {
		return usage("", "report of %s: over %d apps or %d jobs", r.Host, control.MaxApps, control.MaxJobs)
	}
	if len(r.Staged) > control.MaxApps || r.Free != nil && *r.Free < 0 {
		return usage("", "report of %s: staged releases of over %d apps, or less than no disk", r.Host, control.MaxApps)
	}
	for app, versions := range r.Staged {
		if len(versions) > maxStaged {
			return usage("", "report of %s: over %d staged releases of %.40q", r.Host, maxStaged, app)
		}
		for _, version := range versions {
			if err := (release.Ref{App: app, Version: version}).Validate(); err != nil {
				return err
			}
		}
	}
	for app, version := range r.Running {
		if err := (release.Ref{App: app, Version: version}).Validate(); err != nil {
			return err
		}
	}
	if r.Limits != nil {
		if err := r.Limits.Validate(); err != nil {
			return fmt.Errorf("report of %s: %w", r.Host, err)
		}
	}
	for i := range r.Jobs {
		if err := validateJob(&r.Jobs[i]); err != nil {
			return fmt.Errorf("report of %s: %w", r.Host, err)
		}
	}
	return nil
}

// Bounds of what one host can say of one job: sums over a fleet of 20,000 do not
// overflow.
const (
	maxStaged     = 1000 // releases of one app
	maxJobBytes   = 16 * release.MaxArtifactSize
	maxJobSeconds = 365 * 24 * 3600
)

func validateJob(j *control.JobReport) error {
	if err := (release.Ref{App: j.App, Version: j.Version}).Validate(); err != nil {
		return err
	}
	b := j.Bytes
	if min(b.Local, b.Peer, b.Seeder, b.Origin, b.Wasted, j.Rate, int64(j.Attempt)) < 0 || min(j.FetchSeconds, j.StageSeconds) < 0 {
		return fmt.Errorf("%w job of %.80q: a count is below zero", release.ErrInvalid, j.Deploy)
	}
	if max(b.Local, b.Peer, b.Seeder, b.Origin, b.Wasted) > maxJobBytes || max(j.FetchSeconds, j.StageSeconds) > maxJobSeconds {
		return fmt.Errorf("%w job of %.80q: a count is too large", release.ErrInvalid, j.Deploy)
	}
	j.Reason = oneLine(j.Reason)
	j.CutOff = oneLine(j.CutOff)
	if j.Phase == release.Failed && j.Reason == "" {
		j.Reason = "no reason given"
	}
	for _, r := range []*control.HookResult{j.Hook, j.Check} {
		if r != nil {
			r.Tail = tail(release.Printable(r.Tail, '\n', '\t'), control.MaxTailLen)
		}
	}
	return nil
}

func oneLine(s string) string {
	return cut(strings.Join(strings.Fields(release.Printable(s)), " "), control.MaxReasonLen)
}

// cut keeps the first most bytes of s, and tail the last, in whole characters.
func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

func tail(s string, most int) string {
	if len(s) <= most {
		return s
	}
	s = s[len(s)-most:]
	for len(s) > 0 && !utf8.RuneStart(s[0]) {
		s = s[1:]
	}
	return s
}
