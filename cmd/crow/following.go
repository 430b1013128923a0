package main

import (
	"context"
	"errors"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// following is a deploy that the command line waits for.
type following struct {
	*session
	client  *control.Client
	timeout time.Duration
	end     time.Time // of waiting
	lost    error     // why results could not be written
}

// followDeploy shows a deploy until it has a result, and then what brings the release
// before back, where there is such a deploy. It writes the results, and closes p.
func (s *session) followDeploy(ctx context.Context, c *control.Client, p printer, st control.DeployStatus, timeout time.Duration) error {
	f := &following{session: s, client: c, timeout: timeout}
	return f.run(ctx, p, st)
}

// run closes p.
func (f *following) run(ctx context.Context, p printer, st control.DeployStatus) error {
	f.end = time.Now().Add(f.timeout)
	last, err := f.follow(ctx, p, st, f.timeout)
	results := []control.DeployStatus{last}
	if err == nil {
		err = resultOf(last)
		if last.Fallback != "" && last.Phase == release.DeployFailed {
			back, known := f.goBack(ctx, last)
			if known {
				results = append(results, back)
			}
			err = withWayBack(err, back)
		}
	}
	if f.lost == nil {
		f.lost = f.writeResults(results)
	}
	return errors.Join(err, f.lost)
}

// follow closes p.
func (f *following) follow(ctx context.Context, p printer, st control.DeployStatus, timeout time.Duration) (control.DeployStatus, error) {
	defer p.close()
	w := f.newWatch(p)
	return follower{
		poll: func(ctx context.Context, after uint64, wait time.Duration) (control.DeployStatus, error) {
			return f.client.Status(ctx, st.Deploy, after, wait)
		},
		show: func(st control.DeployStatus) {
			f.lost = errors.Join(f.lost, f.writeChanges(w.show(st, time.Now())))
		},
		alert:   p.alert,
		timeout: timeout,
	}.follow(ctx, st)
}

// goBack follows the deploy that takes a failed one back. How that ends does not
// change that the first one failed; what keeps it from its end is told. Of one that
// cannot be asked for only the id is known.
func (f *following) goBack(ctx context.Context, failed control.DeployStatus) (back control.DeployStatus, known bool) {
	f.note("deploy %s failed: hosts go back by deploy %s", failed.Deploy, failed.Fallback)
	back, err := f.status(ctx, failed.Fallback)
	if err != nil {
		f.note("status of %s: %s", failed.Fallback, textOf(err))
		return control.DeployStatus{Deploy: failed.Fallback}, false
	}
	back, err = f.follow(ctx, f.newPrinter(), back, max(0, time.Until(f.end)))
	if err != nil {
		f.note("%s", textOf(err))
	}
	return back, true
}

// status asks where a deploy stands, again as long as there is time: the seeder may
// just be restarting.
func (f *following) status(ctx context.Context, deploy string) (control.DeployStatus, error) {
	waiting, cancel := context.WithDeadline(ctx, f.end)
	defer cancel()
	for {
		st, err := f.client.Status(waiting, deploy, 0, 0)
		if err == nil || !passes(err) || waiting.Err() != nil {
			return st, err
		}
		rest(waiting, retryPause)
	}
}

// writeChanges writes the lines of --output jsonl.
func (s *session) writeChanges(changes []change) error {
	if s.output != outputJSONL {
		return nil
	}
	for _, c := range changes {
		if err := s.writeJSON(c); err != nil {
			return err
		}
	}
	return nil
}

// writeResults writes what followed deploys came to. JSON is of the first alone, which
// names the other.
func (s *session) writeResults(all []control.DeployStatus) error {
	if s.output != outputText {
		return s.writeJSON(all[0])
	}
	for _, st := range all {
		writeSummary(s.out, st, time.Now())
	}
	return nil
}
