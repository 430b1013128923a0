package seeder

import (
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

// A host that runs what is wanted, or says why it does not, shows why as long as it
// has something to say.
func TestDriftIsWhatTheHostSays(t *testing.T) {
	d, made := waved(t, release.Rollout{})
	for _, name := range []string{"h0", "h1", "h2", "h3"} {
		d.say(name, made, release.Active, "")
	}
	d.wantPhase(made.ID, release.DeploySucceeded)
	for _, test := range []struct {
		phase           release.Phase
		reason, running string
		drift           string
	}{
		{release.Active, "", "2", ""},
		{release.Active, "its disk does not answer", "2", "its disk does not answer"},
		{release.Active, "its current was set to 1", "1", "its current was set to 1"},
		{release.Staged, "it was removed", "", "it is staged: it was removed"},
		{release.Activating, "", "", "it is activating"},
		{release.Active, "", "2", ""},
	} {
		running := map[string]string{}
		if test.running != "" {
			running["web"] = test.running
		}
		d.seq["h1"]++
		j := control.JobReport{Deploy: made.ID, App: "web", Version: "2", Phase: test.phase, Reason: test.reason}
		r := control.Report{Host: "h1", Boot: "boot-h1", Seq: d.seq["h1"], Running: running, Jobs: []control.JobReport{j}}
		if _, err := d.report(r, d.now); err != nil {
			t.Fatal(err)
		}
		app, err := d.app("web", d.now)
		if err != nil || app.Hosts[1].Drift != test.drift {
			t.Errorf("%s, %q: drift is %q, want %q (%v)", test.phase, test.reason, app.Hosts[1].Drift, test.drift, err)
		}
		if row := hostRow(d.wantPhase(made.ID, release.DeploySucceeded), "h1"); row.Phase != release.Active {
			t.Errorf("its row in the deploy that ended is %+v", row)
		}
	}
}
