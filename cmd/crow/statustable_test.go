package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestStatusShowsTheSlowestFirst holds that hosts which a deploy waits for stand
// above all others, with what they do or do not.
func TestStatusShowsTheSlowestFirst(t *testing.T) {
	now := statusWith().Started.Add(time.Minute)
	slow := hostIn("web-7", release.Fetching, 10*mib, 5*mib)
	slow.Moved = now.Add(-40 * time.Second)
	fast := hostIn("web-2", release.Fetching, 10*mib, 50*mib)
	fast.Rate, fast.Moved = 3*mib, now
	local := control.HostStatus{Name: "web-3", Phase: release.Fetching, Bytes: release.Bytes{Local: 70 * mib}}
	hook := hostIn("web-1", release.Activating, 0, 0)
	hook.Moved = now.Add(-90 * time.Second)
	late := hostIn("web-0", release.Pending, 0, 0)
	late.Late = true
	st := statusWith(hostIn("web-9", release.Active, 0, 0), hook, late, failedHook("web-4"), local, fast, slow, hostIn("web-8", release.Pending, 0, 0))
	st.Hosts[0].Wave, st.Hosts[1].Wave = 1, 2
	st.Waves = []control.WaveStatus{{State: control.WaveEnded}, {State: control.WaveOpen}}
	var b bytes.Buffer
	deployView{st: st, now: now}.write(&b)
	_, got, _ := strings.Cut(b.String(), "\n\n")
	const want = `HOST   ZONE  WAVE  PHASE       PEERS   SEEDER  LOCAL   FETCH  STAGE  HOOK           NOTE
web-8  -     -     pending     -       -       -       -      -      -
web-7  -     -     fetching    10 MiB  5 MiB   -       -      -      -              15%, mostly from peers, nothing moved for 40s
web-2  -     -     fetching    10 MiB  50 MiB  -       -      -      -              60%, 3 MiB/s, mostly from the seeder
web-3  -     -     fetching    -       -       70 MiB  -      -      -              70%, mostly local
web-1  -     2     activating  -       -       -       -      -      -              hook or check running for 1m30s
web-4  b     -     failed      90 MiB  10 MiB  -       1.9s   0.4s   exit 42, 0.2s  hook exited with status 42
web-0  -     -     pending     -       -       -       -      -      -              not there when it began
web-9  -     1     active      -       -       -       -      -      -
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestStatusSumsUpTheMany holds that hosts which need nothing more do not hide the
// others, unless they are asked for.
func TestStatusSumsUpTheMany(t *testing.T) {
	var hosts []control.HostStatus
	for i := range thereShown + 1 {
		hosts = append(hosts, hostIn(fmt.Sprintf("web-%02d", i), release.Active, 0, 0))
	}
	all := statusWith(append(hosts, failedHook("z"))...)
	fetched := statusWith(slices.Clone(hosts)...)
	for i := range fetched.Hosts {
		fetched.Hosts[i].Phase = release.Staged
	}
	fetched.Rollout.FetchOnly = true
	for _, c := range []struct {
		name  string
		view  deployView
		want  string
		lines int // of the table
	}{
		{"many", deployView{st: all}, "\n21 hosts are active: --all-hosts lists them\nHOST ", 2},
		{"all of them", deployView{st: all, allHosts: true}, "\nHOST ", 23},
		{"few", deployView{st: statusWith(all.Hosts[1:]...)}, "\nHOST ", 22},
		{"staged", deployView{st: fetched}, "\n21 hosts are staged: --all-hosts lists them\n", 0},
	} {
		var b bytes.Buffer
		c.view.write(&b)
		_, table, _ := strings.Cut(b.String(), "HOST ")
		if lines := strings.Count(table, "\n"); !strings.Contains(b.String(), c.want) || lines != c.lines {
			t.Errorf("%s: %d lines in\n%s", c.name, lines, b.String())
		}
	}
}

// TestStatusOfAHookAtWork holds that who waits for a hook, or for the check after it,
// sees at once for how long.
func TestStatusOfAHookAtWork(t *testing.T) {
	now := statusWith().Started.Add(time.Minute)
	h := hostIn("web-1", release.Activating, 0, 0)
	for _, c := range []struct {
		moved time.Duration // ago
		hook  *control.HookResult
		want  string
	}{
		{4 * time.Second, nil, "hook or check running for 4s"},
		{90 * time.Second, nil, "hook or check running for 1m30s"},
		{90 * time.Second, &control.HookResult{Seconds: 30}, "check running for 1m0s"},
		{-3 * time.Second, nil, "hook or check running for 0s"}, // the seeder's clock is ahead
	} {
		h.Moved, h.Hook = now.Add(-c.moved), c.hook
		if got := (deployView{st: statusWith(h), now: now}).noteOn(h); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	if got := (deployView{st: ended(statusWith(h), release.DeployAborted), now: now}).noteOn(h); got != "" {
		t.Errorf("after the end: %q", got)
	}
}

// TestStatusOfLastYear holds that a deploy that ended long ago says so, and that its
// hosts are not said to stand still.
func TestStatusOfLastYear(t *testing.T) {
	cut := hostIn("web-1", release.Fetching, 10*mib, 0)
	cut.Moved = statusWith().Started.Add(5 * time.Second)
	st := ended(statusWith(cut), release.DeployAborted)
	st.WaitsFor = "web-1 to fetch" // of a seeder that forgot to clear it
	var b bytes.Buffer
	deployView{st: st, now: st.Started.AddDate(1, 0, 0)}.write(&b)
	for _, want := range []string{"web@1.42.0 aborted: active on 0 of 1 hosts (deploy d-7f3a, 12.0s)\n", "\nstarted 2026-11-", ", 365d ago\n", "10%, mostly from peers\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "waits for") {
		t.Errorf("it waits:\n%s", b.String())
	}
}

func TestDriftTable(t *testing.T) {
	now := time.Unix(1e9, 0)
	since := now.Add(-72 * time.Hour)
	var b bytes.Buffer
	writeDrift(&b, []control.AppHost{
		{Name: "web-1", Running: "1.41.0", Since: &since, Wanted: "1.42.0", Deploy: "d-1", Drift: "hook exited\nwith 1"},
		{Name: "web-2", Wanted: "1.42.0", Deploy: "d-1", Drift: "never heard of"},
	}, now)
	writeDrift(&b, nil, now)
	const want = `
drift: 2 hosts do not run what is wanted, or failed at it
HOST   RUNNING  SINCE   WANTED  DEPLOY  WHY
web-1  1.41.0   3d ago  1.42.0  d-1     hook exited; with 1
web-2  -        -       1.42.0  d-1     never heard of

no drift: every host runs what is wanted of it
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

// TestAppDocument holds that scripts find the deploy's fields where they are without
// drift, too.
func TestAppDocument(t *testing.T) {
	b, err := json.Marshal(appDocument{statusWith(hostIn("a", release.Active, 0, 0)), []control.AppHost{{Name: "a", Drift: "why"}}})
	if err != nil {
		t.Fatal(err)
	}
	var back struct {
		Deploy string
		Hosts  []control.HostStatus
		Drift  []control.AppHost
	}
	if err := json.Unmarshal(b, &back); err != nil || back.Deploy != "d-7f3a" || len(back.Hosts) != 1 || back.Drift[0].Drift != "why" {
		t.Errorf("%s: %v", b, err)
	}
}

// TestTailOfAFailedCheck holds that a host whose hook went well shows what its health
// check said.
func TestTailOfAFailedCheck(t *testing.T) {
	h := control.HostStatus{Hook: &control.HookResult{Tail: "live\n"}, Check: &control.HookResult{Exit: 1, Tail: "no answer\n"}}
	if got := tailOf(h, 5); len(got) != 1 || got[0] != "no answer" {
		t.Errorf("got %q", got)
	}
	h.Check.Exit = 0
	if got := tailOf(h, 5); got[0] != "live" {
		t.Errorf("got %q", got)
	}
}
