package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
)

// demoFleet is a seeder and hosts as child processes on loopback addresses.
type demoFleet struct {
	dir      string
	url      string // of the seeder
	trust    *demoTrust
	seeder   *child
	hosts    []*child
	children []*child // that were started
}

// hookScript is the deploy hook of every host in the demo. It leaves a mark
// that the demo checks.
const hookScript = `#!/bin/sh
set -eu
printf '%%s\n' "$CROW_APP@$CROW_VERSION" > '%s'/"$CROW_HOST"
echo "$CROW_APP $CROW_VERSION is live on $CROW_HOST"
`

const seederYAML = `name: seeder
data_dir: %q
listen: %s
advertise: 127.0.0.1
swarm_listen: 127.0.0.1:0
gossip_listen: %s
%s`

const peerYAML = `name: %s
data_dir: %q
advertise: %s
seeders: [%q]
swarm_listen: %[3]s:0
gossip_listen: %[3]s:0
gossip_join: [%[5]q]
labels: {role: web, zone: %[6]s}
apps:
  %[7]s: {hook: [%[8]q], unpack: %[9]t, keep: 2}
%[10]s`

// planFleet writes the config files and the hook, and chooses ports that are
// free, so that a crow that runs on this machine is not disturbed.
func planFleet(dir string, n int, unpack bool, trust *demoTrust) (*demoFleet, error) {
	f := &demoFleet{dir: dir, trust: trust}
	hook := filepath.Join(dir, "hook")
	if err := errors.Join(os.Mkdir(f.marks(), 0o755), writeHook(hook, f.marks())); err != nil {
		return nil, err
	}
	api, err := freePort()
	if err != nil {
		return nil, err
	}
	gossip, err := freePort()
	if err != nil {
		return nil, err
	}
	f.url = trust.scheme() + "://" + api
	if err := f.planSeeder(api, gossip); err != nil {
		return nil, err
	}
	for i := range n {
		if err := f.planHost(i, gossip, hook, unpack); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *demoFleet) planSeeder(api, gossip string) error {
	trust, err := f.trust.config(transport.RoleSeeder, seederName, "127.0.0.1")
	if err != nil {
		return err
	}
	f.seeder, err = f.plan("seeder", seederName, fmt.Sprintf(seederYAML, filepath.Join(f.dir, seederName), api, gossip, trust))
	return err
}

func (f *demoFleet) planHost(i int, gossip, hook string, unpack bool) error {
	name, address, zone := fmt.Sprintf("host-%d", i+1), hostAddress(i), string(rune('a'+i%3))
	trust, err := f.trust.config(transport.RolePeer, name, address)
	if err != nil {
		return err
	}
	config := fmt.Sprintf(peerYAML, name, filepath.Join(f.dir, name), address, f.url, gossip, zone, demoApp, hook, unpack, trust)
	c, err := f.plan("peer", name, config)
	if err != nil {
		return err
	}
	c.address = address
	f.hosts = append(f.hosts, c)
	return nil
}

func (f *demoFleet) marks() string { return filepath.Join(f.dir, "live") }

// hostAddress gives each host an address of its own, as machines have; the
// seeder has 127.0.0.1.
func hostAddress(i int) string { return netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + i)}).String() }

func writeHook(path, marks string) error {
	script := fmt.Sprintf(hookScript, strings.ReplaceAll(marks, "'", `'\''`))
	return os.WriteFile(path, []byte(script), 0o755)
}

// plan writes the config of one child.
func (f *demoFleet) plan(command, name, config string) (*child, error) {
	path := filepath.Join(f.dir, name+".yaml")
	c := &child{name: name, log: filepath.Join(f.dir, name+".log"), args: []string{command, "--config", path}}
	return c, os.WriteFile(path, []byte(config), 0o644)
}

// freePort returns a loopback address with a port that is free for TCP and
// UDP. Someone else may take it before the child does; then the child says so.
func freePort() (string, error) {
	const tries = 20
	for range tries {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return "", err
		}
		addr := l.Addr().String()
		u, err := net.ListenPacket("udp", addr)
		l.Close()
		if err == nil {
			return addr, u.Close()
		}
	}
	return "", errors.New("no port is free for both TCP and UDP")
}

// start starts the children. The calling goroutine must be locked to a thread
// that outlives them.
func (f *demoFleet) start() error {
	for _, c := range append([]*child{f.seeder}, f.hosts...) {
		if err := c.start(); err != nil {
			return err
		}
		f.children = append(f.children, c)
	}
	return nil
}

// await waits until the seeder knows all hosts.
func (f *demoFleet) await(ctx context.Context, c *control.Client) error {
	waiting, cancel := context.WithTimeout(ctx, demoStart)
	defer cancel()
	for {
		hosts, err := c.Hosts(waiting, nil)
		if err == nil && len(hosts) == len(f.hosts) {
			return nil
		}
		if dead := f.dead(); dead != nil {
			return dead
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case waiting.Err() != nil:
			return fmt.Errorf("demo: %d of %d hosts came within %s", len(hosts), len(f.hosts), demoStart)
		}
		rest(waiting, pollPause)
	}
}

// dead is the error of a child that has ended by itself.
func (f *demoFleet) dead() error {
	for _, c := range f.children {
		if err := c.ended(); err != nil {
			return fmt.Errorf("demo: %s ended: %w", c.name, err)
		}
	}
	return nil
}

// whileAlive runs do until it returns or a child ends, which is the error then:
// a push would wait for a dead daemon.
func (f *demoFleet) whileAlive(ctx context.Context, do func(context.Context) error) error {
	ctx, cancel := context.WithCancel(ctx)
	var watching sync.WaitGroup
	for _, c := range f.children {
		watching.Go(func() {
			select {
			case <-c.done:
				cancel()
			case <-ctx.Done():
			}
		})
	}
	err := do(ctx)
	cancel()
	watching.Wait()
	if dead := f.dead(); err != nil && dead != nil {
		return dead
	}
	return err
}

// hold lets the fleet run until ctx ends or one of it dies.
func (f *demoFleet) hold(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := f.dead(); err != nil {
			return err
		}
		rest(ctx, time.Second)
	}
	return nil
}

// checkHooks makes sure that every host's hook left its mark.
func (f *demoFleet) checkHooks(ref release.Ref) error {
	for _, h := range f.hosts {
		b, err := os.ReadFile(filepath.Join(f.marks(), h.name))
		if err != nil {
			return fmt.Errorf("the deploy hook of %s left no mark: %w", h.name, err)
		}
		if got := strings.TrimSpace(string(b)); got != ref.String() {
			return fmt.Errorf("the deploy hook of %s saw %q, not %s", h.name, got, ref)
		}
	}
	return nil
}

func (f *demoFleet) addresses() map[string]string {
	all := map[string]string{}
	for _, h := range f.hosts {
		all[h.name] = h.address
	}
	return all
}

// stop ends all children: all are told before one is waited for.
func (f *demoFleet) stop() {
	for _, c := range f.children {
		c.terminate()
	}
	deadline := time.Now().Add(childGrace)
	for _, c := range f.children {
		c.await(deadline)
	}
	f.children = nil
}

// tails are the ends of the logs, for when something went wrong.
func (f *demoFleet) tails() string {
	var b strings.Builder
	for _, c := range append([]*child{f.seeder}, f.hosts...) {
		if tail := c.tail(); tail != "" {
			fmt.Fprintf(&b, "--- the end of %s's log\n%s\n", c.name, tail)
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
