package main

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"crow/internal/control"
	"crow/internal/release"
)

// TestWayBackThatFails holds that the error of a deploy whose hosts did not get back
// says so, whom it is about and what to do, and that of one whose hosts did says
// nothing else than before.
func TestWayBackThatFails(t *testing.T) {
	failed := ended(statusWith(failedHook("web-1"), hostIn("web-2", release.Active, 0, 0)), release.DeployFailed)
	back := func(phase release.DeployPhase, hosts ...control.HostStatus) control.DeployStatus {
		st := statusWith(hosts...)
		st.Deploy, st.Phase = "d-2", phase
		return st
	}
	const text = "deploy d-7f3a of web@1.42.0 failed: 1 of 2 hosts failed: web-1 failed: hook exited with status 42 | no database"
	for _, c := range []struct {
		name              string
		back              control.DeployStatus
		wantText, wantHow string
	}{
		{"all are back", back(release.DeploySucceeded, hostIn("web-1", release.Active, 0, 0)), text, "crow status d-7f3a"},
		{
			"one is not", back(release.DeployFailed, failedHook("web-1"), hostIn("web-2", release.Active, 0, 0)),
			text + "; the way back by deploy d-2 failed on 1 of 2 hosts: web-1", "crow status d-2, then crow retry d-2",
		},
		{"somebody ended it", back(release.DeployAborted, hostIn("web-1", release.Staged, 0, 0)), text + "; the way back by deploy d-2 was aborted", "crow status d-2"},
		{"it takes long", back(release.DeployRunning, hostIn("web-1", release.Staged, 0, 0)), text + "; the way back by deploy d-2 has not ended: 0/1 hosts, 1 staged", "crow status d-2"},
		{"nobody knows", back(release.DeployRunning), text + "; the way back by deploy d-2 is not known to have ended", "crow status d-2"},
	} {
		d := diagnose(withWayBack(resultOf(failed), c.back))
		if d.text != c.wantText || d.hint != c.wantHow || d.code != exitFailed {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}

// TestWayBackFits holds that long reasons leave room for what became of the way back.
func TestWayBackFits(t *testing.T) {
	failed, back := statusWith(failedHook("web-1")), statusWith()
	failed.Phase, back.Phase, back.Deploy = release.DeployFailed, release.DeployFailed, "d-2"
	failed.Hosts[0].Reason = strings.Repeat("why ", 100)
	for i := range 40 {
		back.Hosts = append(back.Hosts, failedHook(fmt.Sprintf("web-%d", i)))
	}
	text := withWayBack(resultOf(failed), back).Error()
	if utf8.RuneCountInString(text) > maxErrorLine || !strings.HasSuffix(text, "; the way back by deploy d-2 failed on 40 of 40 hosts: web-0, web-1, web-2, web-3, web-4 and 35 more") {
		t.Error(text)
	}
}
