package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

const (
	scaleApp     = "scale"
	deployFailed = 3 // crow's exit code when hosts failed, as some do here
)

// crow starts a command of the operator's that follows a deploy to its end.
func (f *scaleFleet) crow(name string, args ...string) (*process, error) {
	args = append([]string{f.tools.crow, "--config", f.config, "--progress", "none", "--output", "json"}, args...)
	return f.start(job{name: name, part: partOther, ends: true, code: deployFailed, args: append(args, "--target", "role=web", "--timeout", "12h")})
}

// first pushes a release and measures what its deploy takes of the seeder.
func (f *scaleFleet) first(ctx context.Context, o *scaleOutcome) error {
	file, err := writeArtifact(f.path("build.bin"), scaleSize)
	if err != nil {
		return err
	}
	pid := f.seeder.cmd.Process.Pid
	before, err := cpuOf(pid)
	if err != nil {
		return err
	}
	start := time.Now()
	if o.During, err = f.push(ctx, file); err != nil {
		return err
	}
	after, err := cpuOf(pid)
	if err != nil {
		return err
	}
	o.Wall, o.CPU = time.Since(start).Seconds(), (after - before).Seconds()
	e, st, err := f.settled(ctx)
	if err != nil {
		return err
	}
	o.Order, o.Own = e.Last.Sub(st.Started).Seconds(), e.Own
	o.After, err = f.statuses(ctx, nil)
	return err
}

// push pushes a file to its deploy's end, and times crow status meanwhile.
func (f *scaleFleet) push(ctx context.Context, file artifact) ([]float64, error) {
	p, err := f.crow("push", "push", file.path, "--app", scaleApp, "--version", fleetVersion)
	if err != nil {
		return nil, err
	}
	seconds, err := f.statuses(ctx, p)
	if err != nil {
		return nil, err
	}
	return seconds, f.awaitEnd(ctx, p)
}

// statuses times crow status of the app: while a process runs, once there is a
// deploy, or with nil as often as it is to be.
func (f *scaleFleet) statuses(ctx context.Context, while *process) (seconds []float64, err error) {
	for len(seconds) < scaleSamples && (while == nil || !while.ended()) {
		start := time.Now()
		out, err := command(ctx, f.tools.crow, "--config", f.config, "--output", "json", "status", scaleApp)
		took := time.Since(start)
		var st control.DeployStatus
		if err == nil {
			err = json.Unmarshal([]byte(out), &st)
		}
		switch {
		case err != nil && while == nil, ctx.Err() != nil:
			return nil, cmp.Or(err, context.Cause(ctx))
		case err == nil && (while == nil || !st.Phase.Ended()): // else there is no deploy yet, or no more
			seconds = append(seconds, took.Seconds())
		}
	}
	return seconds, nil
}

// settled is how the app's newest deploy ended, by the hosts' books and by the
// seeder's, which have to be the same.
func (f *scaleFleet) settled(ctx context.Context) (e ending, st control.DeployStatus, err error) {
	if st, err = f.client.Status(ctx, scaleApp, 0, 0); err != nil {
		return e, st, err
	}
	mark := filepath.Join(f.sim.Marks, st.Deploy)
	err = f.eventually(ctx, func() error {
		b, err := os.ReadFile(mark)
		if err == nil {
			err = json.Unmarshal(b, &e)
		}
		return err
	})
	if err != nil {
		return e, st, err
	}
	return e, st, errors.Join(f.compare(e, st), os.Remove(mark))
}

// compare makes sure that the seeder has taken in what the hosts said.
func (f *scaleFleet) compare(e ending, st control.DeployStatus) error {
	phases, moved := map[release.Phase]int{}, int64(0)
	for _, h := range st.Hosts {
		phases[h.Phase]++
		moved += h.Bytes.Received()
	}
	active, failed := phases[release.Active], phases[release.Failed]
	if active != e.Active || failed != e.Failed || failed != f.sim.Failing || active+failed != f.sim.Hosts || moved != int64(f.sim.Hosts)*scaleSize {
		return fmt.Errorf("deploy %s: by the seeder %d hosts are active, %d failed and %d bytes came; by the hosts %d and %d, of %d",
			st.Deploy, active, failed, moved, e.Active, e.Failed, f.sim.Hosts)
	}
	return nil
}

// repeat deploys the release again and again, and measures what that leaves.
func (f *scaleFleet) repeat(ctx context.Context, o *scaleOutcome) (err error) {
	if o.Begin, err = f.holding(ctx); err != nil {
		return err
	}
	for n := 2; n <= o.Deploys; n++ {
		p, err := f.crow("deploy", "deploy", scaleApp+"@"+fleetVersion)
		if err != nil {
			return err
		}
		if err := f.awaitEnd(ctx, p); err != nil {
			return err
		}
		if _, _, err := f.settled(ctx); err != nil {
			return err
		}
		f.processes = f.processes[:len(f.processes)-1] // it has ended, and there may be thousands
	}
	o.End, err = f.holding(ctx)
	return err
}
