package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
)

const fleetVersion = "1.0.0"

const seederYAML = `name: seeder
data_dir: %q
listen: 0.0.0.0:7400
advertise: %s
swarm_listen: 0.0.0.0:7401
gossip_listen: 0.0.0.0:7402
%s`

const peerYAML = `name: %s
data_dir: %q
advertise: %s
seeders: [%[6]q]
swarm_listen: 0.0.0.0:7401
gossip_listen: 0.0.0.0:7402
gossip_join: ["%[4]s:7402"]
%[7]sdisk_margin: 1MiB
labels: {role: web}
apps:
  "*": {hook: [%[5]q], unpack: false, keep: 2}
`

// fleet is crow as its users run it: a seeder on host 0, a peer on each other,
// builds pushed from host 0.
type fleet struct {
	*stage
	own    *credentials // nil: all is in the clear
	calls  *http.Client // of client
	client *control.Client
	hook   string
}

// newFleet makes what the daemons will need and starts none.
func newFleet(s *stage, own *credentials) (*fleet, error) {
	calls, err := own.client(s.net)
	if err != nil {
		return nil, err
	}
	f := &fleet{stage: s, own: own, calls: calls, hook: s.path("hook")}
	if f.client, err = control.NewClient(own.seederURL(), calls); err != nil {
		return nil, err
	}
	script := fmt.Sprintf("#!/bin/sh\n: > '%s'\"$CROW_APP-$CROW_HOST\"\n", s.path(markPrefix))
	return f, os.WriteFile(f.hook, []byte(script), 0o755)
}

// launch starts a seeder and peers and waits until it knows them all.
func (f *fleet) launch(ctx context.Context, hosts []int) error {
	if err := f.addSeeder(); err != nil {
		return err
	}
	if err := f.awaitPort(ctx, 0, "7400"); err != nil {
		return err
	}
	for _, host := range hosts {
		if err := f.addPeer(host); err != nil {
			return err
		}
	}
	return f.awaitHosts(ctx, len(hosts))
}

func (f *fleet) addSeeder() error {
	protection, err := f.own.config(transport.RoleSeeder, "seeder", address(0))
	if err != nil {
		return err
	}
	return f.daemon(transport.RoleSeeder, "seeder", 0, fmt.Sprintf(seederYAML, f.path("seeder"), address(0), protection))
}

func (f *fleet) addPeer(host int) error {
	name := hostName(host)
	protection, err := f.own.config(transport.RolePeer, name, address(host))
	if err != nil {
		return err
	}
	return f.daemon(transport.RolePeer, name, host, fmt.Sprintf(peerYAML,
		name, f.path(name), address(host), address(0), f.hook, f.own.seederURL(), protection))
}

func (f *fleet) daemon(role transport.Role, name string, host int, config string) error {
	path := f.path(name + ".yaml")
	if err := os.WriteFile(path, []byte(config), 0o644); err != nil {
		return err
	}
	j := job{name: name, host: host, args: []string{f.tools.crow, string(role), "--config", path}}
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
	args := append([]string{f.tools.crow}, f.own.flags()...)
	return f.start(job{name: "push-" + app, part: partOther, ends: true, args: append(args,
		"--progress", "none", "push", file.path,
		"--app", app, "--version", fleetVersion, "--target", "role=web", "--timeout", "12h", // bench has its own limit
	)})
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
