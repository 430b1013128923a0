package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// scaleLimit is when a run of --scale counts as stalled: what it should take at
// most on a slow machine.
func scaleLimit(hosts, deploys int) time.Duration {
	return 2*time.Minute + time.Duration(hosts)*50*time.Millisecond + time.Duration(deploys)*5*time.Second
}

// The size of what is released, in bytes: nothing of it is moved.
const scaleSize = 256 << 10

// scaleSamples is how often crow status is timed, while a deploy runs and after.
const scaleSamples = 20

// scaleOutcome is one run of --scale. A failed one has a Failure and no figures.
type scaleOutcome struct {
	Run     int    `json:"run"`
	Failure string `json:"failure,omitempty"`

	Order   float64   `json:"order_to_last_seconds"`       // from the order to the last host's end
	Own     float64   `json:"slowest_host_seconds"`        // that the slowest host took by itself
	CPU     float64   `json:"seeder_cpu_seconds"`          // during the first deploy
	Wall    float64   `json:"deploy_seconds"`              // that it took, from crow push to its end
	Peak    int64     `json:"seeder_peak_bytes"`           // VmHWM
	During  []float64 `json:"status_during_seconds"`       // of crow status, while the deploy ran
	After   []float64 `json:"status_after_seconds"`        // and after it
	Deploys int       `json:"deploys"`                     // in all
	Begin   *holding  `json:"after_first_deploy,omitzero"` // what the seeder held after the first deploy
	End     *holding  `json:"after_last_deploy,omitzero"`  // and after the last
}

// scaled is all runs of --scale.
type scaled struct {
	Hosts    int            `json:"hosts"`
	Failing  int            `json:"failing"`
	Deploys  int            `json:"deploys"`
	Outcomes []scaleOutcome `json:"outcomes"`
}

// failing is how many of the hosts fail each deploy: a few.
func failing(hosts int) int { return max(1, hosts/100) }

// scale does all runs of --scale. What was measured is returned with the error
// that ended it.
func (b *bench) scale(ctx context.Context) (*scaled, error) {
	all := &scaled{Hosts: b.fleetSize, Failing: failing(b.fleetSize), Deploys: b.deploys}
	for run := 1; run <= b.runs && ctx.Err() == nil; run++ {
		o, err := b.scaleOnce(ctx, run)
		if err != nil || ctx.Err() != nil { // cut short is neither a figure nor a failure
			return all, err
		}
		all.Outcomes = append(all.Outcomes, o)
		what := fmt.Sprintf("%.2f s from the order to the last host", o.Order)
		if o.Failure != "" {
			what = "failed: " + o.Failure
		}
		fmt.Fprintf(b.log, "bench: %d hosts: run %d of %d: %s\n", b.fleetSize, run, b.runs, what)
	}
	return all, nil
}

// scaleOnce is one run, in a folder of its own. What goes wrong in it is the
// outcome; an error is bench's own.
func (b *bench) scaleOnce(ctx context.Context, run int) (o scaleOutcome, err error) {
	s := &stage{tools: b.tools}
	if s.dir, err = os.MkdirTemp(b.dir, "run-"); err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	defer s.stop()
	limit := b.limit
	if limit == 0 {
		limit = scaleLimit(b.fleetSize, b.deploys)
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("it was ended after %s", limit.Round(time.Second)))
	defer cancel()
	o, fault := b.scaleOn(limited, s)
	s.stop()
	o.Run = run
	if end := context.Cause(limited); fault != nil && end != nil && !errors.Is(fault, end) {
		fault = fmt.Errorf("%w: %w", end, fault) // what was killed then does not know why
	}
	if fault != nil {
		o = scaleOutcome{Run: run, Failure: oneLine(fault)}
		return o, b.keepLogs(*s, outcome{System: nameScale, Run: run})
	}
	return o, nil
}

// scaleOn starts a fleet and measures its deploys.
func (b *bench) scaleOn(ctx context.Context, s *stage) (o scaleOutcome, err error) {
	f, err := newScaleFleet(ctx, s, b.fleetSize, b.deploys)
	if err != nil {
		return o, fmt.Errorf("make the fleet: %w", err)
	}
	defer f.calls.CloseIdleConnections()
	if err := f.launch(ctx); err != nil {
		return o, fmt.Errorf("start the fleet: %w", err)
	}
	o.Deploys = b.deploys
	if err := f.first(ctx, &o); err != nil {
		return o, err
	}
	if b.deploys > 1 {
		err = f.repeat(ctx, &o)
	}
	o.Peak = peakOf(f.seeder.cmd.Process.Pid)
	return o, err
}
