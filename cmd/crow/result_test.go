package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// ended is st at its end, 12 seconds after its start.
func ended(st control.DeployStatus, phase release.DeployPhase) control.DeployStatus {
	at := st.Started.Add(12 * time.Second)
	st.Phase, st.Finished = phase, &at
	return st
}

func failedHook(name string) control.HostStatus {
	return control.HostStatus{
		Name: name, Zone: "b", Phase: release.Failed, Reason: "hook exited with status 42",
		Bytes: release.Bytes{Peer: 90 * mib, Seeder: 10 * mib}, FetchSeconds: 1.94, StageSeconds: 0.41,
		Hook: &control.HookResult{Exit: 42, Seconds: 0.2, Tail: "starting\nno database\n"},
	}
}

func TestSummary(t *testing.T) {
	succeeded := ended(statusWith(hostIn("web-1", release.Active, 75*mib, 25*mib), hostIn("web-2", release.Active, 80*mib, 21*mib)), release.DeploySucceeded)
	succeeded.Hosts[1].Bytes.Wasted = mib
	succeeded.SeederBytesSent = 105 * mib
	same := ended(statusWith(hostIn("web-1", release.Active, 0, 0)), release.DeploySucceeded)
	same.Hosts[0].Unchanged = true
	failed := ended(statusWith(hostIn("web-1", release.Active, 0, 100*mib), failedHook("web-2")), release.DeployFailed)
	failed.Reason = "1 of 2 hosts failed"
	failed.SeederBytesSent = 110 * mib
	fetched := ended(statusWith(hostIn("web-1", release.Staged, 75*mib, 25*mib)), release.DeploySucceeded)
	fetched.Rollout.FetchOnly = true
	waves := statusWith(hostIn("web-1", release.Active, 0, 0), hostIn("web-2", release.Staged, 0, 0))
	waves.Waves, waves.WaitsFor = []control.WaveStatus{{Hosts: 1, Active: 1, State: control.WaveEnded}, {Hosts: 1, State: control.WaveOpen}}, "web-2 to go live"
	sources := ended(statusWith(control.HostStatus{Phase: release.Active, Bytes: release.Bytes{Local: 50 * mib, Origin: 50 * mib}}), release.DeploySucceeded)
	cases := []struct {
		name string
		st   control.DeployStatus
		want string
	}{
		{"succeeded", succeeded, `
web@1.42.0 succeeded: active on 2 of 2 hosts (deploy d-7f3a, 12.0s)
bytes: 155 MiB from peers (77%), 46 MiB from the seeder, 1 MiB received twice; the seeder sent 1.05 copies
`},
		{"nothing moved", same, `
web@1.42.0 succeeded: already active on 1 of 1 hosts: nothing moved (deploy d-7f3a, 12.0s)
`},
		{"failed", failed, `
web@1.42.0 failed: active on 1 of 2 hosts, 1 failed (deploy d-7f3a, 12.0s)
bytes: 90 MiB from peers (45%), 110 MiB from the seeder; the seeder sent 1.10 copies
1 of 2 hosts failed
  web-2 failed: hook exited with status 42
    | starting
    | no database
`},
		{"all sources", sources, `
web@1.42.0 succeeded: active on 1 of 1 hosts (deploy d-7f3a, 12.0s)
bytes: 0 B from peers (0%), 0 B from the seeder, 50 MiB from the origin, 50 MiB were there already; the seeder sent 0.00 copies
`},
		{"fetch only", fetched, `
web@1.42.0 succeeded: staged on 1 of 1 hosts (deploy d-7f3a, 12.0s)
bytes: 75 MiB from peers (75%), 25 MiB from the seeder; the seeder sent 0.00 copies
`},
		{"in waves", waves, `
web@1.42.0 running: active on 1 of 2 hosts (deploy d-7f3a, 1m30s)
wave 2/2: 0/1 active
waits for: web-2 to go live
`},
		{"running", statusWith(hostIn("web-1", release.Fetching, 0, 0)), `
web@1.42.0 running: active on 0 of 1 hosts (deploy d-7f3a, 1m30s)
`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			writeSummary(&b, c.st, c.st.Started.Add(90*time.Second))
			if got := "\n" + b.String(); got != c.want {
				t.Errorf("got %s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSummaryIsBounded(t *testing.T) {
	var hosts []control.HostStatus
	for range 100 {
		hosts = append(hosts, failedHook("web"))
	}
	var b bytes.Buffer
	writeSummary(&b, ended(statusWith(hosts...), release.DeployFailed), time.Time{})
	if lines := strings.Count(b.String(), "\n"); lines > 3+3*summaryFailures || !strings.HasSuffix(b.String(), "and 90 hosts more: crow status d-7f3a\n") {
		t.Errorf("%d lines:\n%s", lines, b.String())
	}
}

func TestDeployTable(t *testing.T) {
	late := hostIn("web-10", release.Fetching, 20*mib, 5*mib)
	late.Late = true
	same := hostIn("web-3", release.Active, 0, 0)
	same.Unchanged = true
	var b bytes.Buffer
	deployView{st: ended(statusWith(failedHook("web-2"), same, late), release.DeployFailed)}.write(&b)
	_, got, _ := strings.Cut(b.String(), "target ")
	const want = `role=web

HOST    ZONE  PHASE     PEERS   SEEDER  LOCAL  FETCH  STAGE  HOOK           NOTE
web-2   b     failed    90 MiB  10 MiB  -      1.9s   0.4s   exit 42, 0.2s  hook exited with status 42
web-10  -     fetching  20 MiB  5 MiB   -      -      -      -              25%, mostly from peers (joined late)
web-3   -     active    -       -       -      -      -      -              already active
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestNoteOnLateHosts(t *testing.T) {
	cases := []struct {
		host control.HostStatus
		want string
	}{
		{control.HostStatus{Late: true}, "not there when it began"},
		{control.HostStatus{Late: true, Phase: release.Staged}, "joined late"},
		{control.HostStatus{Late: true, Phase: release.Active, Unchanged: true}, "already active (joined late)"},
		{control.HostStatus{Late: true, Reason: "left"}, "left (not there when it began)"},
		{control.HostStatus{}, ""},
	}
	for _, c := range cases {
		if got := (deployView{}).noteOn(c.host); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestFleetTable(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	hosts := []control.Host{
		{
			Name: "web-1", State: control.HostAlive, Address: "10.0.0.21", Labels: release.Labels{"zone": "a", "role": "web"},
			Running: map[string]string{"web": "1.42.0", "api": "2"}, LastSeen: now.Add(-time.Second), Crow: "v1", CertExpires: now.AddDate(1, 0, 0),
		},
		{Name: "web-2", State: control.HostFailed, LastSeen: now.Add(-3 * time.Minute), CertExpires: now.Add(50 * time.Hour)},
		{Name: "web-3", State: control.HostLeft, LastSeen: now, CertExpires: now.Add(-time.Hour)},
		{Name: "evil\x1b[2J", State: control.HostLeft},
	}
	var b bytes.Buffer
	writeTable(&b, fleetRows(hosts, now))
	const want = `HOST     STATE   ADDRESS    RUNNING           LABELS           LAST SEEN  CROW  CERTIFICATE     LIMITS
web-1    alive   10.0.0.21  api@2 web@1.42.0  role=web zone=a  now        v1    ok              -
web-2    failed  -          -                 -                3m ago     -     ends in 2 days  -
web-3    left    -          -                 -                now        -     expired         -
evil[2J  left    -          -                 -                never      -     -               -
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestListsAsJSON(t *testing.T) {
	rows := func([]int) [][]string { return [][]string{{"N"}} }
	cases := []struct {
		output output
		items  []int
		want   string
	}{
		{outputJSON, nil, "[]\n"},
		{outputJSON, []int{1, 2}, "[\n  1,\n  2\n]\n"},
		{outputJSONL, nil, ""},
		{outputJSONL, []int{1, 2}, "1\n2\n"},
		{outputText, nil, "N\n"},
	}
	for _, c := range cases {
		var b bytes.Buffer
		s := &session{streams: streams{out: &b}, output: c.output}
		if err := writeList(s, c.items, rows); err != nil || b.String() != c.want {
			t.Errorf("%s of %v: %q, %v; want %q", c.output, c.items, b.String(), err, c.want)
		}
	}
}

func TestResultOf(t *testing.T) {
	two := statusWith(failedHook("web-2"), failedHook("web-3"), hostIn("web-1", release.Active, 0, 0))
	late := statusWith(hostIn("web-1", release.Active, 0, 0), failedHook("web-2"))
	late.Hosts[1].Late = true
	why := ended(statusWith(), release.DeploySuperseded)
	why.Reason = "by d-8"
	stopped, operator := two, two
	stopped.Phase, stopped.PausedBy = release.DeployPaused, control.PausedByFailures
	operator.Phase, operator.PausedBy = release.DeployPaused, control.PausedByOperator
	mended := statusWith(hostIn("web-1", release.Active, 0, 0), hostIn("web-2", release.Staged, 0, 0), hostIn("web-3", release.Staged, 0, 0))
	mended.Phase, mended.PausedBy, mended.Reason = release.DeployPaused, control.PausedByFailures, "paused after failures; no host is failed now"
	cases := []struct {
		name string
		st   control.DeployStatus
		code int
		text string
	}{
		{"paused by failures that are mended", mended, exitFailed, "deploy d-7f3a of web@1.42.0 paused: no host is failed now, 2 of 3 are yet to go live"},
		{"paused by failures", stopped, exitFailed, "deploy d-7f3a of web@1.42.0 paused: 2 of 3 hosts failed: web-2 failed: hook exited with status 42 | no database, and 1 more"},
		{"paused by an operator", operator, exitOK, ""},
		{"succeeded", ended(late, release.DeploySucceeded), exitOK, ""},
		{"running", two, exitOK, ""},
		{
			"failed", ended(two, release.DeployFailed), exitFailed,
			"deploy d-7f3a of web@1.42.0 failed: 2 of 3 hosts failed: web-2 failed: hook exited with status 42 | no database, and 1 more",
		},
		{"superseded", why, exitEnded, "deploy d-7f3a of web@1.42.0 superseded: by d-8"},
		{"aborted", ended(statusWith(), release.DeployAborted), exitEnded, "deploy d-7f3a of web@1.42.0 aborted"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := resultOf(c.st)
			if codeFor(err) != c.code || err != nil && (err.Error() != c.text || !strings.Contains(diagnose(err).hint, "crow ")) {
				t.Errorf("got %v with %d, want %q with %d", err, codeFor(err), c.text, c.code)
			}
		})
	}
}

// TestHintOfAStoppedDeploy holds that who waits for a deploy that failures have paused
// is told what lets it go on: a look at what failed, unless all that has been mended.
func TestHintOfAStoppedDeploy(t *testing.T) {
	st := statusWith(failedHook("web-1"), hostIn("web-2", release.Staged, 0, 0))
	st.Phase, st.PausedBy = release.DeployPaused, control.PausedByFailures
	const end = "crow abort d-7f3a or crow rollback web"
	if hint := diagnose(resultOf(st)).hint; hint != "crow status d-7f3a, then crow retry d-7f3a --failed-only, crow resume d-7f3a, "+end {
		t.Error(hint)
	}
	st.Hosts[0] = hostIn("web-1", release.Active, 0, 0)
	if hint := diagnose(resultOf(st)).hint; hint != "let it go on with crow resume d-7f3a; else "+end {
		t.Error(hint)
	}
}

// TestHintOfAnOlderRelease holds that who deploys what hosts have gone past is told how
// they go back.
func TestHintOfAnOlderRelease(t *testing.T) {
	refuses := control.HostStatus{Name: "web-1", Phase: release.Failed, Refused: true, Reason: "order: refused: " + release.ErrOlder.Error() + ": web@1.42.0 is release 7"}
	st := ended(statusWith(refuses), release.DeployFailed)
	if d := diagnose(resultOf(st)); d.code != exitRefused || d.hint != "crow rollback web --to 1.42.0, or crow status d-7f3a" {
		t.Errorf("%+v", d)
	}
	st.Hosts = append(st.Hosts, failedHook("web-2"))
	if d := diagnose(resultOf(st)); d.code != exitFailed || d.hint != "crow rollback web --to 1.42.0, or crow status d-7f3a" {
		t.Errorf("beside another failure: %+v", d)
	}
}

func TestDurations(t *testing.T) {
	now := time.Unix(1e9, 0)
	for d, want := range map[time.Duration]string{
		0: "now", 5 * time.Second: "5s ago", 3 * time.Minute: "3m ago", 5 * time.Hour: "5h ago", 72 * time.Hour: "3d ago",
	} {
		if got := ago(now.Add(-d), now); got != want {
			t.Errorf("ago(%s) = %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{1234 * time.Millisecond: "1.2s", 90 * time.Second: "1m30s", 0: "0.0s"} {
		if got := seconds(d); got != want {
			t.Errorf("seconds(%s) = %q, want %q", d, got, want)
		}
	}
}
