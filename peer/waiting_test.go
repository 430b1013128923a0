package peer

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

// until waits for a state of the office.
func (o *office) until(t testing.TB, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		o.mu.Lock()
		ok, changed := is(), o.changed
		state := fmt.Sprintf("%+v", o.newest)
		o.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("no %s; newest reports: %s", what, state)
		}
	}
}

// job finds a deploy in the newest reports. The caller holds the lock.
func (o *office) job(deploy string) (control.JobReport, bool) {
	for _, r := range o.newest {
		if i := slices.IndexFunc(r.Jobs, func(j control.JobReport) bool { return j.Deploy == deploy }); i >= 0 {
			return r.Jobs[i], true
		}
	}
	return control.JobReport{}, false
}

// await waits until a deploy is in a phase and returns its report. An end in
// another phase fails the test.
func (o *office) await(t testing.TB, deploy string, phase release.Phase) (found control.JobReport) {
	t.Helper()
	o.until(t, deploy+" "+phase.String(), func() bool {
		j, ok := o.job(deploy)
		if ok && j.Phase.Ended() && j.Phase != phase {
			t.Errorf("%s is %s, want %s; reason %q", deploy, j.Phase, phase, j.Reason)
			return true
		}
		found = j
		return ok && j.Phase == phase
	})
	return found
}

// phases lists what was reported of a deploy, in order.
func (o *office) phases(deploy string) []release.Phase {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.history[deploy])
}

// stock adds goods and their torrent.
func (o *office) stock(g goods) goods {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.torrents[g.manifest.SHA256] = g.torrent
	return g
}
