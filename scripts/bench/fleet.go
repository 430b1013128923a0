package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

const fleetVersion = "1.0.0"

const seederYAML = `name: seeder
data_dir: %q
listen: 0.0.0.0:7400
advertise: %s
swarm_listen: 0.0.0.0:7401
gossip_listen: 0.0.0.0:7402
tls: off
insecure: true
`

const peerYAML = `name: %s
data_dir: %q
advertise: %s
seeders: ["http://%[4]s:7400"]
swarm_listen: 0.0.0.0:7401
gossip_listen: 0.0.0.0:7402
gossip_join: ["%[4]s:7402"]
tls: off
insecure: true
disk_margin: 1MiB
labels: {role: web}
apps:
  "*": {hook: [%[5]q], unpack: false, keep: 2}
`

// fleet is crow as its users run it: a seeder on host 0, a peer on each other,
// builds pushed from host 0.
type fleet struct {
	*stage
	client *control.Client
	hook   string
}

// startFleet starts a seeder and peers and waits until it knows them all.
func startFleet(ctx context.Context, s *stage, hosts []int) (*fleet, error) {
	c, err := control.NewClient(fmt.Sprintf("http://%s:7400", address(0)), s.net.client(0))
	if err != nil {
		return nil, err
	}
	f := &fleet{stage: s, client: c, hook: s.path("hook")}
	script := fmt.Sprintf("#!/bin/sh\n: > '%s'\"$CROW_APP-$CROW_HOST\"\n", s.path(markPrefix))
	if err := os.WriteFile(f.hook, []byte(script), 0o755); err != nil {
		return nil, err
	}
	if err := f.daemon("seeder", "seeder", 0, fmt.Sprintf(seederYAML, s.path("seeder"), address(0))); err != nil {
		return nil, err
	}
	if err := s.awaitPort(ctx, 0, "7400"); err != nil {
		return nil, err
	}
	for _, host := range hosts {
		if err := f.addPeer(host); err != nil {
			return nil, err
		}
	}
	return f, f.awaitHosts(ctx, len(hosts))
}

func (f *fleet) addPeer(host int) error {
	name := hostName(host)
	return f.daemon("peer", name, host, fmt.Sprintf(peerYAML, name, f.path(name), address(host), address(0), f.hook))
}

func (f *fleet) daemon(command, name string, host int, config string) error {
	path := f.path(name + ".yaml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	j := job{name: name, host: host, args: []string{f.tools.crow, command, "--config", path}}
	if host == 0 {
		j.part = partSeeder
	}
	_, err := f.start(j)
	return err
}

func (f *fleet) awaitHosts(ctx context.Context, n int) error {
	return f.eventually(ctx, func() error {
		hosts, err := f.client.Hosts(ctx, nil)
		alive := 0
		for _, h := range hosts {
			if h.State == control.HostAlive {
				alive++
			}
		}
		if err == nil && alive < n {
			err = fmt.Errorf("%d of %d hosts have joined", alive, n)
		}
		return err
	})
}

// push starts crow push of a file as an app's release to all hosts.
func (f *fleet) push(app string, file artifact) (*process, error) {
	return f.start(job{name: "push-" + app, part: partOther, ends: true, args: []string{
		f.tools.crow, "--seeder", f.client.URL(), "--progress", "none", "push", file.path,
		"--app", app, "--version", fleetVersion, "--target", "role=web", "--timeout", "12h", // bench has its own limit
	}})
}

// settled waits until the seeder has heard from all hosts of an app's deploy
// that they are done, and returns its books.
func (f *fleet) settled(ctx context.Context, app string) (control.DeployStatus, error) {
	var st control.DeployStatus
	err := f.eventually(ctx, func() error {
		var err error
		if st, err = f.client.Status(ctx, app, 0, 0); err != nil {
			return err
		}
		active := 0
		for _, h := range st.Hosts {
			if h.Phase == release.Active {
				active++
			}
		}
		if active < f.Hosts {
			return fmt.Errorf("%d of %d hosts have reported that they are active", active, f.Hosts)
		}
		return nil
	})
	return st, err
}

// placed is where a host has an app's artifact.
func (f *fleet) placed(app string, host int) string {
	return filepath.Join(f.path(hostName(host)), "apps", app, fleetVersion, "artifact")
}

// rest waits, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}
