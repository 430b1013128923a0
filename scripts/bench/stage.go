package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// pollPause is between two looks at what is waited for. Where it matters when
// something happened, its own time is taken and not that of the look.
const pollPause = 20 * time.Millisecond

// stage is where one system does one run: the network, a folder of its own and
// the processes that it started.
type stage struct {
	scenario
	net   *network
	tools tools
	dir   string
	file  artifact      // what is to be moved
	piece int64         // bytes; piece length of a rival's torrent
	t1    time.Duration // of http1 in this run; 0 for http1 itself

	processes []*process
	before    map[int]traffic // when the clock was started
	after     map[int]traffic // when the last host was done
}

// start starts a job and has it stopped with the rest.
func (s *stage) start(j job) (*process, error) {
	p, err := s.net.start(s.dir, j)
	if err == nil {
		s.processes = append(s.processes, p)
	}
	return p, err
}

func (s *stage) stop() { stopAll(s.processes) }

// path is that of a file in the stage's folder.
func (s *stage) path(name string) string { return filepath.Join(s.dir, name) }

// hostPath is a folder of one host's own, which is made.
func (s *stage) hostPath(host int) (string, error) {
	path := s.path(hostName(host))
	return path, os.MkdirAll(path, 0o755)
}

func hostName(host int) string { return fmt.Sprintf("host-%d", host) }

// mark is the file whose modification time tells when a host had an app's file.
func (s *stage) mark(app string, host int) string {
	return s.path(markPrefix + app + "-" + hostName(host))
}

const markPrefix = "done-"

// theFile is the name in marks of the one file, where a system knows no apps.
const theFile = "file"

func (s *stage) marks(hosts []int) []string {
	var marks []string
	for _, host := range hosts {
		marks = append(marks, s.mark(theFile, host))
	}
	return marks
}

// begin starts the clock.
func (s *stage) begin(ctx context.Context) (time.Time, error) {
	var err error
	s.before, err = s.net.traffic(ctx)
	return time.Now(), err
}

// awaitMarks waits until all marks are there and returns their times.
func (s *stage) awaitMarks(ctx context.Context, marks []string) ([]time.Time, error) {
	times := make([]time.Time, len(marks))
	err := s.eventually(ctx, func() error {
		if missing := look(marks, times); missing > 0 {
			return fmt.Errorf("%d of %d deliveries were done", len(marks)-missing, len(marks))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.after, err = s.net.traffic(ctx)
	return times, err
}

// look fills in the times of marks that have appeared and counts those that are
// missing.
func look(marks []string, times []time.Time) (missing int) {
	for i, mark := range marks {
		if !times[i].IsZero() {
			continue
		}
		info, err := os.Stat(mark)
		if err != nil {
			missing++
			continue
		}
		times[i] = info.ModTime()
	}
	return missing
}

// eventually polls until check passes, a process dies or ctx ends.
func (s *stage) eventually(ctx context.Context, check func() error) error {
	tick := time.NewTicker(pollPause)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		for _, p := range s.processes {
			if fault := p.fault(); fault != nil {
				return errors.Join(fault, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case <-tick.C:
		}
	}
}

// awaitPort waits until a host listens on a TCP port.
func (s *stage) awaitPort(ctx context.Context, host int, port string) error {
	return s.eventually(ctx, func() error {
		conn, err := dialIn(ctx, s.net.name(host), "tcp", net.JoinHostPort(address(host), port))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// awaitEnd waits until a process has ended well.
func (s *stage) awaitEnd(ctx context.Context, p *process) error {
	return s.eventually(ctx, func() error {
		if !p.ended() {
			return fmt.Errorf("%s has not ended", p.name)
		}
		return nil
	})
}

// secondsSince are the times as seconds after start. A mark's time is that of
// the kernel's last tick, which may lie some milliseconds back, even before
// start; no time at all would make a ratio to it meaningless.
func secondsSince(start time.Time, times []time.Time) []float64 {
	const least = time.Millisecond
	var all []float64
	for _, t := range times {
		all = append(all, max(least, t.Sub(start)).Seconds())
	}
	return all
}
