package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/release"
)

// tools are the programs that runs start, by path.
type tools struct {
	self string // bench itself, for plain HTTP
	crow string // a copy of the binary to measure; empty: there is none
}

// bench runs systems through scenarios.
type bench struct {
	options
	tools
	names []string // of the systems and trials to run; http1 first
	dir   string   // for all files; removed by close
	lock  *os.File // of dir
	log   io.Writer
}

func newBench(o options, i inspection, names []string, log io.Writer) (*bench, error) {
	b := &bench{options: o, names: names, log: log}
	var err error
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if err := b.checkRoom(); err != nil {
		return nil, err
	}
	if b.dir, b.lock, err = workFolder(o.work); err != nil {
		return nil, err
	}
	if i.crow == "" {
		return b, nil
	}
	// A copy: someone may build another crow while this one is measured.
	b.tools.crow = filepath.Join(b.dir, "crow")
	if err := copyFile(b.tools.crow, i.crow, 0o755); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() {
	if err := errors.Join(os.RemoveAll(b.dir), b.lock.Close()); err != nil {
		fmt.Fprintf(b.log, "bench: %v\n", err)
	}
}

// checkRoom makes sure that the disk holds what the largest scenario moves: a
// copy for each host, the seeder's, and what is pushed.
func (b *bench) checkRoom() error {
	var fs unix.Statfs_t
	if err := unix.Statfs(b.work, &fs); err != nil {
		return fmt.Errorf("--work %s: %w", b.work, err)
	}
	free := int64(fs.Bavail) * fs.Bsize
	for _, s := range b.scenarios {
		if want := s.Size * int64((s.Hosts+2)*max(1, b.apps)); want > free {
			return fmt.Errorf("--work %s: %s wants %s of disk, %s is free", b.work, s, release.Size(want), release.Size(free))
		}
	}
	return nil
}

// run goes through all scenarios. What was measured is returned with the error
// that ended it.
func (b *bench) run(ctx context.Context) ([]result, error) {
	var results []result
	for _, s := range b.scenarios {
		outcomes, err := b.scenario(ctx, s)
		if len(outcomes) > 0 {
			results = append(results, newResult(s, outcomes, b.apps))
		}
		if err != nil || ctx.Err() != nil {
			return results, err
		}
	}
	return results, nil
}

// scenario makes the network and does all runs in it. Systems take turns, so
// that a machine that slows down slows all of them.
func (b *bench) scenario(ctx context.Context, s scenario) (outcomes []outcome, err error) {
	restore, err := raiseNeighbours(neighbourTable, s.Hosts+1)
	if err != nil {
		fmt.Fprintf(b.log, "bench: %v: with many hosts some may lose each other\n", err)
	}
	defer func() { err = errors.Join(err, restore()) }()
	net, err := newNetwork(ctx, s.Hosts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, net.close()) }()
	if err := net.shapeAll(ctx, s.Rate); err != nil {
		return nil, err
	}
	for run := 1; run <= b.runs && ctx.Err() == nil; run++ {
		some, err := b.round(ctx, net, s, run)
		outcomes = append(outcomes, some...)
		if err != nil {
			return outcomes, err
		}
	}
	return outcomes, nil
}

// round runs each system once, with the same file.
func (b *bench) round(ctx context.Context, net *network, s scenario, run int) (outcomes []outcome, err error) {
	dir, err := os.MkdirTemp(b.dir, "source-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	file, err := writeArtifact(filepath.Join(dir, "build.bin"), s.Size)
	if err != nil {
		return nil, err
	}
	st := stage{scenario: s, net: net, tools: b.tools, file: file, piece: cmp.Or(int64(b.piece), release.PieceLengthFor(s.Size))}
	for _, name := range b.names {
		if name == nameUneven && s.Rate == 0 {
			continue // without a rate there is no tenth of it
		}
		o, err := b.turn(ctx, st, name, run)
		if err != nil || ctx.Err() != nil { // cut short is neither a figure nor a failure
			return outcomes, err
		}
		if name == nameHTTP1 {
			st.t1 = time.Duration(o.T1 * float64(time.Second))
		}
		b.tell(s, o)
		outcomes = append(outcomes, o)
	}
	return outcomes, nil
}

// turn is a system's turn in a round. Without a yardstick nothing is run that
// would have to be compared with it.
func (b *bench) turn(ctx context.Context, s stage, name string, run int) (outcome, error) {
	if name != nameHTTP1 && s.t1 == 0 {
		return outcome{System: name, Run: run, Failure: "not run: " + nameHTTP1 + " failed, which it is compared with"}, nil
	}
	o, err := b.measure(ctx, s, name, run)
	if name == nameHTTP1 {
		o.T1 = o.makespan() // 0 if it failed
	}
	return o, err
}

// measure runs one system once, in a folder of its own. What goes wrong in the
// run is the outcome; an error is bench's own.
func (b *bench) measure(ctx context.Context, s stage, name string, run int) (o outcome, err error) {
	if s.dir, err = os.MkdirTemp(b.dir, "run-"); err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(s.dir)) }()
	defer s.stop()
	limit := b.limit
	if limit == 0 {
		limit = limitOf(name, s.scenario, s.t1, b.apps)
	}
	stalled := fmt.Errorf("it was ended after %s", limit.Round(time.Second))
	limited, cancel := context.WithTimeoutCause(ctx, limit, stalled)
	defer cancel()
	o = outcome{System: name, Run: run}
	d, fault := systemOf(name, b.apps)(limited, &s)
	s.stop()
	if fault == nil {
		fault = d.check(ctx)
	}
	if fault != nil {
		o.Failure = oneLine(fault)
		return o, b.keepLogs(s, o)
	}
	o.weigh(d, &s)
	o.charge(s.processes)
	return o, nil
}

// tell shows a run on stderr as soon as it is done.
func (b *bench) tell(s scenario, o outcome) {
	what := fmt.Sprintf("%.2f s, %.2f x http1", o.makespan(), o.ratio())
	if o.Failure != "" {
		what = "failed: " + o.Failure
	}
	fmt.Fprintf(b.log, "bench: %s: run %d of %d: %s: %s\n", s, o.Run, b.runs, o.System, what)
}
