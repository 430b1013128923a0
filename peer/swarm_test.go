package peer

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/release"
	"crow/internal/swarm"
)

// TestThroughTheSwarm deploys a program to two hosts over real sockets. There
// is no tracker: they find the seeder, and each other, by gossip alone.
func TestThroughTheSwarm(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	g := r.goods("#!/bin/sh\necho it runs\nexit 0\n" + big("#", 40))
	join := r.seed(g)
	r.office.give(g.order("d-1", "tool", "1"))
	for i := range 2 {
		r.joinSwarm(fmt.Sprint("web-", i), join, t.TempDir(), r.hook(App{}, "exec $CROW_ARTIFACT"))
	}
	for i := range 2 {
		job := r.ended(fmt.Sprint("web-", i))
		if job.Phase != release.Active || job.Hook == nil || job.Hook.Tail != "it runs\n" || job.Bytes.Useful() != g.manifest.Size {
			t.Errorf("host %d: %+v, hook %+v", i, job, job.Hook)
		}
	}
}

// TestWrittenToInTheSwarm damages what a host offers. The neighbour that asks
// for it gets it all the same, from that host alone, once it is mended.
func TestWrittenToInTheSwarm(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	content, dir := big("cached", 40), t.TempDir()
	g := r.goods(content)
	join := r.seed(g)
	r.office.give(g.order("d-1", "tool", "1"))
	p := r.joinSwarm("web-0", join, dir, App{})
	if job := r.ended("web-0"); job.Phase != release.Active {
		t.Fatalf("%+v", job)
	}
	corrupt(t, filepath.Join(dir, "cache", g.manifest.SHA256.String()))

	s, err := swarm.New(swarm.Config{Role: swarm.RolePeer, Listen: "127.0.0.1:0", Advertise: "127.0.0.1", Log: nopLog})
	if err != nil {
		t.Fatal(err)
	}
	r.run(s.Run)
	r.run(func(ctx context.Context) error {
		for pause(ctx, 20*time.Millisecond) == nil {
			s.AddNeighbours(g.manifest.InfoHash, []netip.AddrPort{p.SwarmAddr()})
		}
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got := filepath.Join(t.TempDir(), "got")
	if err := s.Fetch(ctx, g.torrent, got, func(swarm.Progress) {}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{got, filepath.Join(dir, "apps/tool/current/artifact")} {
		eventually(t, path+" has the right bytes", func() bool {
			b, err := os.ReadFile(path)
			return err == nil && string(b) == content
		})
	}
}

// seed offers goods in a real swarm and returns the gossip address to join by.
func (r *rig) seed(g goods) string {
	t := r.t
	t.Helper()
	s, err := swarm.New(swarm.Config{Role: swarm.RoleSeeder, Listen: "127.0.0.1:0", Advertise: "127.0.0.1", Log: nopLog})
	if err != nil {
		t.Fatal(err)
	}
	r.run(s.Run)
	if err := s.Seed(g.torrent, r.store.path(g.manifest.InfoHash)); err != nil {
		t.Fatal(err)
	}
	fleet, err := gossip.New(gossip.Config{
		Name: "seeder", Listen: "127.0.0.1:0", Tags: gossip.Tags(gossip.RoleSeeder, s.Addr().Port(), nil), Log: nopLog,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.run(fleet.Run)
	return fleet.Addr().String()
}

// joinSwarm starts a host that is in a real swarm.
func (r *rig) joinSwarm(name, join, dir string, tool App) *Peer {
	r.t.Helper()
	cfg := quietConfig(dir, r.office.url())
	cfg.Name, cfg.GossipJoin = name, []string{join}
	cfg.Apps["tool"] = tool
	p, err := open(cfg, Options{Log: nopLog}, quick(), joinSwarm)
	if err != nil {
		r.t.Fatal(err)
	}
	r.run(p.Run)
	return p
}

// ended waits for the end of a host's one job.
func (r *rig) ended(host string) (job control.JobReport) {
	r.t.Helper()
	r.office.until(r.t, host+" done", func() bool {
		jobs := r.office.newest[host].Jobs
		if len(jobs) == 1 {
			job = jobs[0]
		}
		return job.Phase.Ended()
	})
	return job
}
