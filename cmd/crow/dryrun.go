package main

import (
	"context"
	"errors"
	"fmt"

	"crow/internal/control"
	"crow/seeder/build"
)

// dryRun shows what a deploy of a release that exists would do.
func (s *session) dryRun(ctx context.Context, c *control.Client, o rollout) error {
	req := o.request()
	if req.Rollback != nil { // a signature would let hosts go back, in whosever hands
		unsigned := *req.Rollback
		unsigned.Signatures = nil
		req.Rollback = &unsigned
	}
	plan, err := c.Plan(ctx, req)
	if err != nil {
		return fmt.Errorf("plan of %s: %w", o.ref, err)
	}
	if o.goesBack() && plan.Previous == nil && plan.Same == "" && o.key == "" {
		return noFallback(o.ref)
	}
	return s.writePlan(plan, o.detailed)
}

// dryPush shows what a push would do, and uploads nothing.
func (s *session) dryPush(ctx context.Context, c *control.Client, artifact *build.Source, o pushing) error {
	existing, err := findRelease(ctx, c, o.ref)
	if err != nil {
		return err
	}
	p := s.newPrinter()
	if existing != nil {
		err := compare(ctx, p, artifact, existing.Manifest)
		p.close()
		if err != nil {
			return err
		}
		return s.dryRun(ctx, c, o.rollout)
	}
	sum, err := sumOf(ctx, p, artifact, "hashing")
	p.close()
	if err != nil {
		return err
	}
	plan, err := planOfNew(ctx, c, o.rollout, control.Artifact{SHA256: sum.SHA256, Bytes: sum.Size})
	if err != nil {
		return err
	}
	s.note("%s does not exist yet, so who would be in which wave, and what unpacking it needs, is not known", o.ref)
	return s.writePlan(plan, o.detailed)
}

// planOfNew is what can be said of a release that the seeder does not have: every
// host that matches would fetch all of it.
func planOfNew(ctx context.Context, c *control.Client, o rollout, artifact control.Artifact) (control.DeployPlan, error) {
	plan := control.DeployPlan{App: o.ref.App, Version: o.ref.Version, Target: o.selector, Rollout: o.steps, Artifact: artifact}
	last, err := c.Status(ctx, o.ref.App, 0, 0)
	switch answer, ok := errors.AsType[*control.Error](err); {
	case ok && answer.Code == control.CodeNotFound:
	case err != nil:
		return plan, err
	case !last.Phase.Ended():
		plan.Running = last.Deploy
	}
	if len(plan.Target.Targets) == 0 {
		plan.Target.Targets = last.Target.Targets
	}
	hosts, err := hostsOf(ctx, c, plan.Target)
	if err != nil {
		return plan, err
	}
	return plannedFor(plan, hosts), nil
}

// plannedFor adds the hosts to a plan of a release that none of them can have.
func plannedFor(plan control.DeployPlan, hosts []control.Host) control.DeployPlan {
	for _, h := range hosts {
		if h.State == control.HostLeft {
			continue
		}
		one := control.PlannedHost{
			Name: h.Name, Zone: h.Labels["zone"], State: h.State, Running: h.Running[plan.App],
			Bytes: plan.Artifact.Bytes, Disk: plan.Artifact.Bytes, Free: h.Free,
		}
		if !takesApp(h, plan.App) {
			one.Refuses, one.Bytes = "its config has no app "+plan.App, 0
		}
		plan.Hosts = append(plan.Hosts, one)
		plan.Bytes += one.Bytes
		plan.Changes = plan.Changes || one.Refuses == ""
	}
	last := 0
	for _, end := range plan.Rollout.Ends(len(plan.Hosts)) {
		plan.Waves, last = append(plan.Waves, end-last), end
	}
	return plan
}

// anyApp is the name by which a host's config takes every app.
const anyApp = "*"

// takesApp reports whether the host's config names the app, or any.
func takesApp(h control.Host, app string) bool {
	for _, name := range h.Apps {
		if name == app || name == anyApp {
			return true
		}
	}
	return false
}

// writePlan writes a plan; with detailed the exit code tells whether anything would
// change.
func (s *session) writePlan(plan control.DeployPlan, detailed bool) error {
	if s.output != outputText {
		if err := s.writeJSON(plan); err != nil {
			return err
		}
	} else {
		writePlan(s.out, plan)
	}
	if detailed && plan.Changes {
		return &fault{kind: changes}
	}
	return nil
}
