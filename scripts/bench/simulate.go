package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"crow/internal/control"
	"crow/internal/pki"
	"crow/internal/release"
	"crow/internal/transport"
)

// simulation is a fleet of hosts in one process that speak the control API as
// peers do, and move no bytes. It is what the process reads from its one argument.
type simulation struct {
	Seeder  string        `json:"seeder"`  // URL
	Subnet  string        `json:"subnet"`  // first two bytes of all addresses
	CA      string        `json:"ca"`      // folder of the fleet's CA
	Keys    string        `json:"keys"`    // folder of the hosts' certificates
	Marks   string        `json:"marks"`   // folder for what bench waits for
	Hosts   int           `json:"hosts"`   // how many
	Failing int           `json:"failing"` // the last of them, whose hooks fail
	Pace    float64       `json:"pace"`    // how many times faster than usual each takes a release
	Idle    time.Duration `json:"idle"`    // after a call that failed

	fail context.CancelCauseFunc // ends the simulation

	mu     sync.Mutex
	joined int
	ends   map[string]*ending // by deploy
}

// ending is how far the fleet is with one deploy.
type ending struct {
	Deploy string    `json:"deploy"`
	Active int       `json:"active"`
	Failed int       `json:"failed"`
	Last   time.Time `json:"last"`    // when the seeder had taken the last host's end
	Own    float64   `json:"seconds"` // that the slowest host took by itself
}

// joinedMark is the file that appears when all hosts have had their first orders.
const joinedMark = "joined"

// Names and addresses of the simulated fleet's parts.
func simulatedName(i int) string { return fmt.Sprintf("host-%d", i+1) }

func (s *simulation) address(i int) string {
	return fmt.Sprintf("%s.%d.%d", s.Subnet, 1+(i+1)/250, (i+1)%250+1)
}

// tls are the files of one node, whose certificate and key lie in a folder.
func (s *simulation) tls(dir, name string) transport.TLS {
	base := filepath.Join(dir, name)
	return transport.TLS{CA: filepath.Join(s.CA, pki.CertFile), CRL: filepath.Join(s.CA, pki.CRLFile), Cert: base + ".crt", Key: base + ".key"}
}

// simulateHosts is the role of the process: all hosts, until it is told to stop.
func simulateHosts(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("want CONFIG")
	}
	b, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	s := &simulation{ends: map[string]*ending{}}
	if err := json.Unmarshal(b, s); err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	ctx, s.fail = context.WithCancelCause(ctx)
	defer s.fail(nil)
	var all sync.WaitGroup
	for i := range s.Hosts {
		h, err := s.host(i)
		if err != nil {
			return err
		}
		all.Go(func() { h.run(ctx) })
	}
	all.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// failed pauses after a call that failed. What the seeder refuses it would refuse
// again: then the simulation is wrong, and ends.
func (s *simulation) failed(ctx context.Context, host string, err error) {
	answer, ok := errors.AsType[*control.Error](err)
	if ok && answer.Code != control.CodeUnknown && answer.Code != control.CodeInternal {
		s.fail(fmt.Errorf("%s: %w", host, err))
	}
	if ctx.Err() == nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", host, err)
		_ = rest(ctx, s.Idle) // its error is ctx's
	}
}

// took takes down that a host had its first orders.
func (s *simulation) took() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joined++; s.joined < s.Hosts {
		return nil
	}
	return os.WriteFile(filepath.Join(s.Marks, joinedMark), nil, 0o644)
}

// ended takes down that the seeder knows a host's end, and once it knows all of
// them leaves a file for bench.
func (s *simulation) ended(deploy string, phase release.Phase, own time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.ends[deploy]
	if e == nil {
		e = &ending{Deploy: deploy}
		s.ends[deploy] = e
	}
	if e.Own = max(e.Own, own.Seconds()); phase == release.Active {
		e.Active++
	} else {
		e.Failed++
	}
	if e.Active+e.Failed < s.Hosts {
		return nil
	}
	e.Last = time.Now()
	delete(s.ends, deploy)
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	path := filepath.Join(s.Marks, deploy)
	return errors.Join(os.WriteFile(path+".new", b, 0o644), os.Rename(path+".new", path))
}

// host makes the i-th host.
func (s *simulation) host(i int) (*simulated, error) {
	safe, err := transport.Open(s.tls(s.Keys, simulatedName(i)), false, nil)
	if err != nil {
		return nil, err
	}
	h := &simulated{simulation: s, index: i, name: simulatedName(i), jobs: map[string]*simulatedJob{}, calls: safe.HTTPClient()}
	h.hello = control.Hello{
		Boot: fmt.Sprintf("bench-%d-%d", os.Getpid(), i), Address: s.address(i), SwarmPort: 7401,
		Labels: release.Labels{"role": "web", "zone": string(rune('a' + i%3))}, Apps: []string{"*"}, Crow: "bench",
	}
	h.client, err = control.NewClient(s.Seeder, h.calls)
	return h, err
}
