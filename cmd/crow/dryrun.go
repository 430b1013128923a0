package main

import (
	"context"
	"fmt"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/build"
)

// dryRun shows what a deploy would do. The artifact is that of a release which does not
// exist yet; nil: it exists.
func (s *session) dryRun(ctx context.Context, c *control.Client, o rollout, artifact *control.Artifact, format release.Format) error {
	req := control.PlanDeploy{CreateDeploy: o.request(), Artifact: artifact, Format: format}
	if req.Rollback != nil { // a signature would let hosts go back, in whosever hands
		unsigned := *req.Rollback
		unsigned.Signatures = nil
		req.Rollback = &unsigned
	}
	done, known, err := keyed(ctx, c, o)
	if err != nil {
		return fmt.Errorf("plan of %s: %w", o.ref, err)
	}
	plan, err := c.Plan(ctx, req)
	if err != nil {
		return fmt.Errorf("plan of %s: %w", o.ref, err)
	}
	if known {
		s.note("idempotency key %q is that of deploy %s, which is %s: nothing would be begun", o.key, done.Deploy, done.Phase)
		plan.Same, plan.Running, plan.Changes = done.Deploy, "", false
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
		return s.dryRun(ctx, c, o.rollout, nil, release.FormatFile)
	}
	sum, err := sumOf(ctx, p, artifact, "hashing")
	p.close()
	if err != nil {
		return err
	}
	s.note("%s does not exist yet: the push would create it", o.ref)
	return s.dryRun(ctx, c, o.rollout, &control.Artifact{SHA256: sum.SHA256, Bytes: sum.Size}, sum.Format)
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
