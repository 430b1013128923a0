package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// pollWait is how long a peer asks the seeder to hold its poll for orders.
const pollWait = 30 * time.Second

// simulated is one host of a simulation.
type simulated struct {
	*simulation
	index  int
	name   string
	hello  control.Hello
	calls  *http.Client // of client
	client *control.Client

	jobs map[string]*simulatedJob // by app; of run alone

	mu      sync.Mutex // one report at a time, as peers have it
	seq     uint64
	running map[string]string // app to live version
}

// run polls for orders and follows them until ctx ends.
func (h *simulated) run(ctx context.Context) {
	defer h.calls.CloseIdleConnections()
	defer h.stop()
	for first := true; ctx.Err() == nil; {
		h.failed(ctx, h.name, h.serve(ctx, &first))
	}
}

// serve says hello and polls until a call fails.
func (h *simulated) serve(ctx context.Context, first *bool) error {
	if _, err := h.client.Hello(ctx, h.name, h.hello); err != nil {
		return fmt.Errorf("say hello: %w", err)
	}
	for epoch, revision := "", uint64(0); ; {
		o, err := h.client.Orders(ctx, h.name, epoch, revision, pollWait)
		if err != nil {
			return fmt.Errorf("poll orders: %w", err)
		}
		epoch, revision = o.Epoch, o.Revision
		for _, order := range o.Orders {
			h.follow(ctx, order)
		}
		if *first {
			*first = false
			if err := h.took(); err != nil {
				return err
			}
		}
	}
}

// follow begins a job for an order that is new, in place of the app's last.
func (h *simulated) follow(ctx context.Context, o control.Order) {
	j := h.jobs[o.Manifest.App]
	if j != nil {
		if j.order.Deploy == o.Deploy {
			j.allow(o.Goal)
			return
		}
		j.stop()
	}
	j = newSimulatedJob(h, o)
	h.jobs[o.Manifest.App] = j
	j.start(ctx)
}

func (h *simulated) stop() {
	for _, j := range h.jobs {
		j.stop()
	}
}

// report tells the seeder where a job stands, until it has taken it, and returns
// how long it wants to hear no mere progress.
func (h *simulated) report(ctx context.Context, job control.JobReport) (time.Duration, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if job.Phase == release.Active {
		h.running = map[string]string{job.App: job.Version}
	}
	for {
		h.seq++
		receipt, err := h.client.Report(ctx, control.Report{
			Host: h.name, Boot: h.hello.Boot, Seq: h.seq, Running: h.running, Jobs: []control.JobReport{job}, Limits: &noLimits,
		})
		if err == nil {
			return time.Duration(receipt.NextMillis) * time.Millisecond, nil
		}
		if h.failed(ctx, h.name, err); ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
	}
}

// noLimits are those of a config without any.
var noLimits = control.WantedLimits{}.Over(0, 0)

// How long a host takes for the parts of a release, at least and at most. One
// transfer over a datacenter's link is longer; shorter is harder on the seeder.
var (
	fetchTime = [2]time.Duration{time.Second, 3 * time.Second}
	stageTime = [2]time.Duration{100 * time.Millisecond, 300 * time.Millisecond}
	hookTime  = [2]time.Duration{200 * time.Millisecond, 800 * time.Millisecond}
)

// draw is a time between two bounds, at the simulation's pace.
func (s *simulation) draw(r *rand.Rand, of [2]time.Duration) time.Duration {
	d := of[0] + time.Duration(r.Float64()*float64(of[1]-of[0]))
	return time.Duration(float64(d) / s.Pace)
}

// hookTail is what a hook that failed has said: about as much as a service's
// stack trace.
var hookTail = strings.Repeat("at com.example.web.Server.start(Server.java:42)\n", 40)

var errSuperseded = errors.New("superseded")
