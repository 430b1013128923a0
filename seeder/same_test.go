package seeder

import (
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestThePausedDeployTwice: to ask for it again neither ends it nor lets it go on.
func TestThePausedDeployTwice(t *testing.T) {
	for _, why := range []string{control.PausedByOperator, control.PausedByFailures} {
		d, made := waved(t, release.Rollout{Waves: halves})
		d.say("h0", made, release.Active, "")
		if why == control.PausedByOperator {
			d.must(made.ID, control.Steer{Verb: control.VerbPause})
		} else {
			d.say("h1", made, release.Failed, "hook")
		}
		req := request("web", "2", "name=*")
		req.Waves = halves
		plan, err := d.preview(control.PlanDeploy{CreateDeploy: req}, d.now)
		if err != nil || plan.Same != made.ID || plan.Running != "" {
			t.Errorf("the plan: the same as %q, in place of %q, %v", plan.Same, plan.Running, err)
		}
		again, err := d.deploy(req, d.now)
		if err != nil || again != made {
			t.Fatalf("asked for again it is %v, %v", again, err)
		}
		if s := d.wantPhase(made.ID, release.DeployPaused); s.PausedBy != why {
			t.Errorf("it is paused by %s, want %s", s.PausedBy, why)
		}
		req.Waves = nil
		if other, err := d.deploy(req, d.now); err != nil || other == made {
			t.Errorf("asked for in another way it is %v, %v", other, err)
		}
		d.wantPhase(made.ID, release.DeploySuperseded)
	}
}

// TestNoWavesAreEmptyWaves: a list that a request leaves out is the same as an empty one,
// with a key and without.
func TestNoWavesAreEmptyWaves(t *testing.T) {
	d, made := waved(t, release.Rollout{})
	req := request("web", "2", "name=*")
	req.Waves = []release.Share{}
	if again, err := d.deploy(req, d.now); err != nil || again != made {
		t.Errorf("with empty waves it is %v, %v", again, err)
	}
}

// TestTheSameRollbackTwice: each call signs a statement of its own. It is the same deploy
// as long as the one that this has is worth as much.
func TestTheSameRollbackTwice(t *testing.T) {
	const week = 7 * 24 * time.Hour
	d := fleetOf(t, 2)
	second := d.start("web", "2", "name=*")
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Active}, "2")
	}
	one := d.catalog.find(release.Ref{App: "web", Version: "1"}).Manifest
	back := func(replaces uint64, expires time.Time) *deploy {
		t.Helper()
		req := request("web", "1", "name=*")
		req.Rollback = &control.Rollback{Statement: release.RollbackTo(one, replaces, d.now, expires)}
		return must[*deploy](t)(d.deploy(req, d.now))
	}
	first := back(1000, d.now.Add(week))
	d.now = d.now.Add(time.Minute)
	if again := back(1060, d.now.Add(week)); again != first {
		t.Errorf("a minute later it is another: %s", again.ID)
	}
	d.must(first.ID, control.Steer{Verb: control.VerbPause})
	d.pass(4 * 24 * time.Hour)
	fresh := back(346_000, d.now.Add(week))
	if fresh == first {
		t.Error("the first statement expires soon, and hosts that come after that would have none")
	}
	if forever := back(346_000, time.Time{}); forever == fresh {
		t.Error("a statement for ever is the same as one for a week")
	} else if again := back(346_000, d.now.Add(week)); again != forever {
		t.Error("a statement for ever is not as good as one for a week")
	}
}

// TestARollbackAfterANewerRelease: hosts may have accepted that one, and the first
// statement does not replace it.
func TestARollbackAfterANewerRelease(t *testing.T) {
	d := fleetOf(t, 1)
	one := d.catalog.find(release.Ref{App: "web", Version: "1"}).Manifest
	back := func(replaces uint64) *deploy {
		t.Helper()
		req := request("web", "1", "name=*")
		req.Rollback = &control.Rollback{Statement: release.RollbackTo(one, replaces, d.now, time.Time{})}
		return must[*deploy](t)(d.deploy(req, d.now))
	}
	first := back(2)
	if again := back(5); again != first {
		t.Error("there is nothing newer, and it is another deploy")
	}
	d.make("web", "3")
	if again := back(2); again != first {
		t.Error("the same statement is another deploy")
	}
	if next := back(3); next == first {
		t.Error("the first statement is taken for one that replaces more")
	}
}

// TestAStatementWithFewerSignatures: hosts that want two keys' signatures refuse it.
func TestAStatementWithFewerSignatures(t *testing.T) {
	m := release.Manifest{App: "web", Version: "1", Counter: 1, SHA256: release.Digest{1}}
	by := func(signatures ...string) *control.Rollback {
		return &control.Rollback{Statement: release.RollbackTo(m, 5, t0, time.Time{}), Signatures: signatures}
	}
	if suffices(by("a"), by("a", "b"), 2, t0) || suffices(nil, by("a"), 2, t0) {
		t.Error("hosts that take the new one may not take the old one")
	}
	if !suffices(by("a", "b"), by("b"), 2, t0) || !suffices(nil, nil, 2, t0) {
		t.Error("the old one is worth as much")
	}
}
