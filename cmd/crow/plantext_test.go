package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// testPlan is a plan for four hosts: one is done, one refuses.
func testPlan() control.DeployPlan {
	free, little := int64(2<<30), int64(300*mib)
	share := release.Hosts(1)
	previous := releaseAt("1.41.0", 100, time.Unix(1e9, 0)).Manifest
	return control.DeployPlan{
		App: "web", Version: "1.42.0", Target: release.Selector{Targets: []release.Expr{"role=web"}}, Artifact: control.Artifact{Bytes: 100 * mib},
		Rollout: release.Rollout{
			Waves: []release.Share{release.Hosts(1), release.Percent(100)}, WavePause: release.Duration(30 * time.Second),
			HostsAtOnce: 2, MaxFailures: &share, OnFailure: release.OnFailureRollback,
		},
		Waves: []int{1, 3}, Bytes: 200 * mib, Changes: true, Running: "d-1", Previous: &previous,
		Hosts: []control.PlannedHost{
			{Name: "web-1", Zone: "a", Wave: 1, State: control.HostAlive, Running: "1.41.0", Bytes: 100 * mib, Disk: 100 * mib, Unpacks: 25 * mib, Free: &free},
			{Name: "web-2", Zone: "b", Wave: 2, State: control.HostFailed, Bytes: 100 * mib, Disk: 100 * mib, Unpacks: 500 * mib, Free: &little},
			{Name: "web-3", Wave: 2, State: control.HostAlive, Running: "1.42.0", Free: &free},
			{Name: "web-4", Wave: 2, State: control.HostAlive, Refuses: "its config has\nno app web"},
		},
	}
}

func TestPlanText(t *testing.T) {
	var b bytes.Buffer
	writePlan(&b, testPlan())
	want := `web@1.42.0 to role=web: dry run, nothing is changed
artifact 100 MiB, sha256 ` + strings.Repeat("0", 64) + `
rollout: waves 1,100% with 30s between, 2 at once, goes back after more than 1 failure

HOST   ZONE  WAVE  STATE   RUNNING  MOVES    NEEDS    FREE     NOTE
web-1  a     1     alive   1.41.0   100 MiB  125 MiB  2 GiB
web-2  b     2     failed  -        100 MiB  600 MiB  300 MiB  would refuse if it unpacks: 300 MiB free, 600 MiB needed
web-3  -     2     alive   1.42.0   -        -        2 GiB    runs it already
web-4  -     2     alive   -        -        -        -        would refuse: its config has; no app web

4 hosts in 2 waves of 1, 3, 200 MiB to move; 1 run it already; 1 would refuse
it would supersede deploy d-1
after too many failures hosts would go back to web@1.41.0
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestPlanThatChangesNothing(t *testing.T) {
	plan := testPlan()
	plan.Hosts, plan.Waves, plan.Bytes, plan.Changes, plan.Running, plan.Same, plan.Rollout = plan.Hosts[2:3], []int{1}, 0, false, "d-1", "d-1", release.Rollout{}
	var b bytes.Buffer
	writePlan(&b, plan)
	for _, want := range []string{
		"rollout: all at once, as each has fetched, failures do not stop it\n",
		"\n1 host, 0 B to move; 1 run it already; nothing would change\ndeploy d-1 does the same already: no other would begin\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "supersede") || strings.Contains(b.String(), "go back") {
		t.Errorf("got\n%s", b.String())
	}
}

// TestPlanExitCodes holds that the exit code tells of changes only where that is
// asked for, and that then nothing is said on stderr.
func TestPlanExitCodes(t *testing.T) {
	for _, c := range []struct {
		changes, detailed bool
		code              int
	}{{true, false, exitOK}, {true, true, exitChanges}, {false, true, exitOK}} {
		var out, stderr bytes.Buffer
		s := &session{output: outputJSON, streams: streams{out: &out, err: &stderr}}
		plan := testPlan()
		plan.Changes = c.changes
		err := s.writePlan(plan, c.detailed)
		if codeFor(err) != c.code {
			t.Errorf("%+v: %d", c, codeFor(err))
		}
		if err != nil {
			diagnose(err).print(s.streams)
		}
		var back control.DeployPlan
		if json.Unmarshal(out.Bytes(), &back) != nil || len(back.Hosts) != 4 || stderr.Len() != 0 {
			t.Errorf("%+v: out %s, err %q", c, out.String(), stderr.String())
		}
	}
}
