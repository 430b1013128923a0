package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// variant is how a run of crow differs from the plain one.
type variant struct {
	tls  bool // mutual TLS, a gossip key, and hosts that want releases signed
	slow bool // the last host has a tenth of the others' rate
	late bool // the last host's agent starts half of T1 after the push
	apps int  // pushed at once
}

// run pushes to a fleet and waits for the last deploy hook.
func (v variant) run(ctx context.Context, s *stage) (d delivery, err error) {
	last := s.net.last()
	if v.slow {
		if err := s.net.shape(ctx, last, s.Rate/10); err != nil {
			return d, err
		}
		defer func() {
			// Not ctx: it may have ended, and later runs want even links.
			if e := s.net.shape(context.Background(), last, s.Rate); err == nil {
				err = e
			}
		}()
	}
	files, err := v.files(s)
	if err != nil {
		return d, err
	}
	f, err := v.fleet(s)
	if err != nil {
		return d, fmt.Errorf("make the fleet: %w", err)
	}
	defer f.calls.CloseIdleConnections()
	onTime := s.net.all()
	if v.late {
		onTime = onTime[:len(onTime)-1]
	}
	if err := f.launch(ctx, onTime); err != nil {
		return d, fmt.Errorf("start the fleet: %w", err)
	}
	return v.measure(ctx, f, files)
}

func (v variant) fleet(s *stage) (*fleet, error) {
	if !v.tls {
		return newFleet(s, nil)
	}
	own, err := newCredentials(s.path("keys"))
	if err != nil {
		return nil, err
	}
	return newFleet(s, own)
}

// files are what the apps are pushed from; the first is the run's own.
func (v variant) files(s *stage) ([]artifact, error) {
	files := []artifact{s.file}
	for len(files) < v.apps {
		more, err := writeArtifact(s.path(fmt.Sprintf("build-%d.bin", len(files))), s.file.size)
		if err != nil {
			return nil, err
		}
		files = append(files, more)
	}
	return files, nil
}

func (v variant) measure(ctx context.Context, f *fleet, files []artifact) (delivery, error) {
	d := delivery{apps: len(files)}
	start, err := f.begin(ctx)
	if err != nil {
		return d, err
	}
	var pushes []*process
	for i, file := range files {
		p, err := f.push(appName(i), file)
		if err != nil {
			return d, err
		}
		pushes = append(pushes, p)
	}
	lateStart := start
	if v.late {
		if err := rest(ctx, f.t1/2); err != nil {
			return d, err
		}
		lateStart = time.Now()
		if err := f.addPeer(f.net.last()); err != nil {
			return d, err
		}
	}
	if d.seconds, err = f.awaitHooks(ctx, start, len(files)); err != nil {
		return d, err
	}
	// A late host's time is its own.
	d.seconds[len(d.seconds)-1] -= lateStart.Sub(start).Seconds()
	return d, f.account(ctx, &d, pushes, files)
}

func appName(i int) string { return fmt.Sprintf("app%d", i+1) }

// awaitHooks returns when each host's last deploy hook ran, in seconds after
// start.
func (f *fleet) awaitHooks(ctx context.Context, start time.Time, apps int) ([]float64, error) {
	var marks []string
	for _, host := range f.net.all() {
		for i := range apps {
			marks = append(marks, f.mark(appName(i), host))
		}
	}
	times, err := f.awaitMarks(ctx, marks)
	if err != nil {
		return nil, err
	}
	var seconds []float64
	for own := range slices.Chunk(secondsSince(start, times), apps) {
		seconds = append(seconds, slices.Max(own))
	}
	return seconds, nil
}

// account waits for the pushes' own good end and takes the deploys' books.
func (f *fleet) account(ctx context.Context, d *delivery, pushes []*process, files []artifact) error {
	for i, file := range files {
		st, err := f.settled(ctx, appName(i))
		if err != nil {
			return err
		}
		if err := f.awaitEnd(ctx, pushes[i]); err != nil {
			return err
		}
		d.sent += st.SeederBytesSent
		for _, h := range st.Hosts {
			d.wasted += h.Bytes.Wasted
		}
		for _, host := range f.net.all() {
			d.expect(file, f.placed(appName(i), host))
		}
	}
	return nil
}
