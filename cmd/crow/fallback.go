package main

import (
	"context"
	"fmt"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// fallback is the statement by which hosts may go back after failures, signed
// beforehand: whoever could sign it need not be there when it is needed. It is nil
// where the seeder knows nothing to go back to but may know the deploy by its key.
func (o rollout) fallback(ctx context.Context, c *control.Client) (*control.Rollback, error) {
	plan, err := c.Plan(ctx, control.PlanDeploy{CreateDeploy: o.request()})
	if err != nil {
		return nil, err
	}
	switch {
	case plan.Previous != nil:
	case o.key != "":
		return nil, nil
	default:
		return nil, noFallback(o.ref)
	}
	all, err := c.Releases(ctx, o.ref.App)
	if err != nil {
		return nil, err
	}
	known := o.signer.known(all)
	for _, r := range known {
		if r.Ref() == plan.Previous.Ref() && r.SHA256 == plan.Previous.SHA256 && r.Counter == plan.Previous.Counter {
			return o.signer.fallback(r.Manifest, known, time.Now())
		}
	}
	return nil, &fault{
		kind: usage, hint: "crow sign, or --on-failure pause",
		text: fmt.Sprintf("--on-failure rollback: %s, to go back to, is not signed by a key of yours or of trust in your config", plan.Previous.Ref()),
	}
}

// lacksForBack tells of a way back that hosts will not take, as far as the config
// knows what they want: it would be found out after the failure. Empty is nothing.
func (s *session) lacksForBack(o rollout) string {
	switch n := len(o.signer.keys); {
	case !o.goesBack():
	case n == 0 && s.tls.Cert != "":
		return "the way back is not signed: hosts that trust keys will refuse it (--sign-key, " + envSigningKey + ", or sign_keys in the config)"
	case n > 0 && n < s.trust.Threshold:
		return fmt.Sprintf("the way back is signed by %s, and the config's trust wants %d: hosts that do will refuse it (--sign-key may be given again)", counted(n, "key"), s.trust.Threshold)
	}
	return ""
}

func noFallback(ref release.Ref) error {
	return &fault{
		kind: usage, hint: "--on-failure pause, or leave it out",
		text: fmt.Sprintf("--on-failure rollback: %s has no release to go back to: none was deployed with success before %s", ref.App, ref),
	}
}

// fallback states that hosts which have accepted anything that is known by now may
// go back to m.
func (g signer) fallback(m release.Manifest, known []control.Release, now time.Time) (*control.Rollback, error) {
	replaces := max(nextCounter(known, now)-1, m.Counter+1) // a statement has to replace something
	statement := release.RollbackTo(m, replaces, now, now.Add(statementLife))
	b, err := statement.Encode()
	if err != nil {
		return nil, err
	}
	return &control.Rollback{Statement: statement, Signatures: g.document(b, "crow fallback "+m.Ref().String())}, nil
}

// requireEarlier fails a push whose failures are to bring back an earlier release
// where there can be none, so that it costs no upload.
func requireEarlier(ctx context.Context, c *control.Client, o rollout) error {
	if !o.goesBack() {
		return nil
	}
	all, err := c.Releases(ctx, o.ref.App)
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Ref() != o.ref {
			return nil
		}
	}
	return noFallback(o.ref)
}
