package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// progressSteps is into how many parts a simulated fetch falls. What it says
// between them is told no more often than the seeder asks for.
const progressSteps = 20

// simulatedJob takes one order through its phases.
type simulatedJob struct {
	host   *simulated
	order  control.Order
	state  control.JobReport
	random *rand.Rand
	pause  time.Duration // between reports of mere progress, as the seeder asked
	own    time.Duration // that the host took by itself
	live   chan struct{} // closed when the order lets it go live
	gone   bool          // live is closed

	cancel context.CancelCauseFunc
	done   chan struct{}
}

func newSimulatedJob(h *simulated, o control.Order) *simulatedJob {
	j := &simulatedJob{
		host: h, order: o, random: rand.New(rand.NewPCG(uint64(h.index), 1)), live: make(chan struct{}), done: make(chan struct{}),
		state: control.JobReport{Deploy: o.Deploy, App: o.Manifest.App, Version: o.Manifest.Version},
	}
	j.allow(o.Goal)
	return j
}

// allow takes in how far the job may go.
func (j *simulatedJob) allow(g control.Goal) {
	if g == control.GoalActivate && !j.gone {
		j.gone = true
		close(j.live)
	}
}

func (j *simulatedJob) start(ctx context.Context) {
	ctx, j.cancel = context.WithCancelCause(ctx)
	go func() {
		defer close(j.done)
		if err := j.run(ctx); err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", j.host.name, err)
		}
	}()
}

func (j *simulatedJob) stop() {
	j.cancel(errSuperseded)
	<-j.done
}

// run goes through all phases and tells of each.
func (j *simulatedJob) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{j.fetch, j.stage, j.await, j.activate} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return j.host.ended(j.order.Deploy, j.state.Phase, j.own)
}

// enter reports a phase, and then takes the time that it takes.
func (j *simulatedJob) enter(ctx context.Context, p release.Phase, d time.Duration) (err error) {
	j.state.Phase = p
	if j.pause, err = j.host.report(ctx, j.state); err != nil {
		return err
	}
	j.own += d
	return rest(ctx, d)
}

func (j *simulatedJob) fetch(ctx context.Context) error {
	took, size := j.host.draw(j.random, fetchTime), j.order.Manifest.Size
	if err := j.enter(ctx, release.Fetching, 0); err != nil {
		return err
	}
	told := time.Now()
	for n := range int64(progressSteps) {
		if err := rest(ctx, took/progressSteps); err != nil {
			return err
		}
		done := size * (n + 1) / progressSteps
		j.state.Bytes = release.Bytes{Peer: done - done/16, Seeder: done / 16}
		if time.Since(told) < j.pause || n == progressSteps-1 {
			continue
		}
		told = time.Now()
		if err := j.enter(ctx, release.Fetching, 0); err != nil {
			return err
		}
	}
	j.own += took
	j.state.FetchSeconds = took.Seconds()
	return j.enter(ctx, release.Verified, j.host.draw(j.random, stageTime))
}

func (j *simulatedJob) stage(ctx context.Context) error {
	j.state.StageSeconds = 0.2
	return j.enter(ctx, release.Staged, 0)
}

// await waits until the order lets the host go live.
func (j *simulatedJob) await(ctx context.Context) error {
	select {
	case <-j.live:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// activate runs no hook, and says how it ended.
func (j *simulatedJob) activate(ctx context.Context) error {
	took := j.host.draw(j.random, hookTime)
	if err := j.enter(ctx, release.Activating, took); err != nil {
		return err
	}
	j.state.Hook = &control.HookResult{Seconds: took.Seconds(), Tail: "restarted\n"}
	if j.host.index < j.host.Hosts-j.host.Failing {
		return j.enter(ctx, release.Active, 0)
	}
	j.state.Hook.Exit, j.state.Hook.Tail = 1, hookTail
	j.state.Reason = "hook exited with status 1"
	return j.enter(ctx, release.Failed, 0)
}
