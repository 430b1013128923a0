package seeder

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/audit"
)

// goesBack begins a deploy of web@2 in halves that rolls back to web@1 on failure.
func (d *desk) goesBack(expires time.Time) (*deploy, error) {
	return d.goesBackAs(release.Rollout{Waves: halves}, expires)
}

func (d *desk) goesBackAs(how release.Rollout, expires time.Time) (*deploy, error) {
	one := d.catalog.find(release.Ref{App: "web", Version: "1"})
	req := request("web", "2", "name=*")
	req.Rollout, req.OnFailure = how, release.OnFailureRollback
	req.Fallback = &control.Rollback{Statement: release.RollbackTo(one.Manifest, 2, d.now, expires)}
	return d.deploy(req, d.now)
}

// TestFallbackThatHostsWouldRefuse is refused with the deploy, not found out when it is
// needed.
func TestFallbackThatHostsWouldRefuse(t *testing.T) {
	d := fleetOf(t, 2)
	d.now = d.now.Add(time.Hour)
	_, err := d.goesBack(d.now.Add(-time.Minute))
	wantCode(t, err, control.CodeRefused)
	two := d.catalog.find(release.Ref{App: "web", Version: "2"})
	req := request("web", "2", "name=*")
	req.OnFailure = release.OnFailureRollback
	req.Fallback = &control.Rollback{Statement: release.RollbackTo(two.Manifest, 3, d.now, time.Time{})}
	_, err = d.deploy(req, d.now)
	wantCode(t, err, control.CodeRefused)
}

// TestFallbackWithoutForgottenHosts: nobody waits for a host that an operator says is
// gone.
func TestFallbackWithoutForgottenHosts(t *testing.T) {
	d := fleetOf(t, 4)
	second, err := d.goesBack(time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Staged}, "1")
	}
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.leave("h00")
	if _, err := d.forget("h00", d.now); err != nil {
		t.Fatal(err)
	}
	d.tells("h01", second, control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}, "2")
	s := d.wantPhase(second.ID, release.DeployFailed)
	back := d.deploys.byID[s.Fallback]
	if back == nil || len(back.Hosts) != 1 || back.Hosts[0] != "h01" {
		t.Fatalf("the way back is %+v", back)
	}
}

// TestPreviousIsWhatHostsRun: also if its deploy failed on one of them.
func TestPreviousIsWhatHostsRun(t *testing.T) {
	d := fleetOf(t, 3)
	d.make("web", "3")
	second := d.start("web", "2", "name=*")
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.tells("h01", second, control.JobReport{Phase: release.Active}, "2")
	d.tells("h02", second, control.JobReport{Phase: release.Failed, Reason: "disk"}, "1")
	d.wantPhase(second.ID, release.DeployFailed)
	p, err := d.preview(control.PlanDeploy{CreateDeploy: request("web", "3", "name=*")}, d.now)
	if err != nil || p.Previous == nil || p.Previous.Version != "2" {
		t.Errorf("it would go back to %+v, %v", p.Previous, err)
	}
}

// TestFallbackKeepsToHostsAtOnce: that bound is what the service can do without, on the
// way back too: hosts that are down when it begins take the places. Failures do not stop
// it, as they do not without the bound.
func TestFallbackKeepsToHostsAtOnce(t *testing.T) {
	d := fleetOf(t, 4)
	second, err := d.goesBackAs(release.Rollout{HostsAtOnce: 2}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	d.tells("h00", second, control.JobReport{Phase: release.Active}, "2")
	d.tells("h01", second, control.JobReport{Phase: release.Active}, "2")
	d.tells("h02", second, control.JobReport{Phase: release.Activating}, "2")
	d.tells("h03", second, control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}, "2")
	back := d.deploys.byID[d.wantPhase(second.ID, release.DeployFailed).Fallback]
	if back == nil || len(back.Hosts) != 4 {
		t.Fatalf("the way back is %+v", back)
	}
	d.wantGoals("h02 h03") // both are down already
	d.reopen()
	d.pass(time.Second)
	back = d.deploys.byID[back.ID]
	d.wantGoals("h02 h03")
	d.tells("h02", back, control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}, "1")
	d.wantPhase(back.ID, release.DeployRunning)
	d.wantGoals("h00 h02 h03")
	for _, name := range []string{"h03", "h00", "h01"} {
		d.tells(name, back, control.JobReport{Phase: release.Active}, "1")
	}
	d.wantPhase(back.ID, release.DeployFailed)
}

// TestFallbackCountsTheHookThatStillRuns: hosts that serve wait for it.
func TestFallbackCountsTheHookThatStillRuns(t *testing.T) {
	d := fleetOf(t, 6)
	second, err := d.goesBackAs(release.Rollout{HostsAtOnce: 2}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range second.Hosts[:4] {
		d.tells(name, second, control.JobReport{Phase: release.Active}, "2")
	}
	d.tells("h04", second, control.JobReport{Phase: release.Activating}, "2")
	d.tells("h05", second, control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}, "2")
	back := d.deploys.byID[d.wantPhase(second.ID, release.DeployFailed).Fallback]
	d.wantGoals("h04 h05")
	d.tells("h05", back, control.JobReport{Phase: release.Active}, "1")
	d.wantGoals("h00 h04 h05")
}

// TestFallbackIsInTheHistory: nobody asked for it just then, and it says on whose behalf
// the seeder did it.
func TestFallbackIsInTheHistory(t *testing.T) {
	d := fleetOf(t, 2)
	journal := must[*audit.Log](t)(audit.Open(filepath.Join(t.TempDir(), auditFile)))
	t.Cleanup(func() { journal.Close() })
	d.audit = journal
	second, err := d.goesBackAs(release.Rollout{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range second.Hosts {
		d.tells(name, second, control.JobReport{Phase: release.Failed, Reason: "hook", Hook: &control.HookResult{Exit: 1}}, "2")
	}
	back := d.wantPhase(second.ID, release.DeployFailed).Fallback
	for _, e := range must[[]control.HistoryEntry](t)(journal.Read("web", control.MaxHistory)) {
		if e.Action == control.ActionFallback {
			if e.Who != "seeder" || e.Deploy != back || e.Version != "1" || e.Result != control.ResultOK || !strings.Contains(e.Message, second.ID+" of web@2") {
				t.Errorf("the entry is %+v", e)
			}
			return
		}
	}
	t.Error("the history does not tell of the fallback's begin")
}
