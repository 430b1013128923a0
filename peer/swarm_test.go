package peer

import (
	"context"
	"fmt"
	"testing"

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
	script := "#!/bin/sh\necho it runs\nexit 0\n" + big("#", 40)
	g := r.goods(script)
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

	r.office.give(g.order("d-1", "tool", "1"))
	for i := range 2 {
		cfg := quietConfig(t.TempDir(), r.office.url())
		cfg.Name, cfg.GossipJoin = fmt.Sprint("web-", i), []string{fleet.Addr().String()}
		cfg.Apps["tool"] = r.hook(App{}, "exec $CROW_ARTIFACT")
		p, err := open(cfg, Options{Log: nopLog}, quick(), joinSwarm)
		if err != nil {
			t.Fatal(err)
		}
		r.run(func(ctx context.Context) error { return p.Run(ctx) })
	}
	for i := range 2 {
		var job control.JobReport
		r.office.until(t, "both hosts done", func() bool {
			jobs := r.office.newest[fmt.Sprint("web-", i)].Jobs
			if len(jobs) == 1 {
				job = jobs[0]
			}
			return job.Phase.Ended()
		})
		if job.Phase != release.Active || job.Hook == nil || job.Hook.Tail != "it runs\n" || job.Bytes.Useful() != g.manifest.Size {
			t.Errorf("host %d: %+v, hook %+v", i, job, job.Hook)
		}
	}
}
