package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"crow/internal/control"
	"crow/internal/release"
)

func TestChanges(t *testing.T) {
	first := statusWith(hostIn("web-1", release.Pending, 0, 0), hostIn("web-2", release.Pending, 0, 0))
	moved := statusWith(hostIn("web-1", release.Fetching, 1, 0), hostIn("web-2", release.Pending, 0, 0))
	more := statusWith(hostIn("web-1", release.Fetching, 9, 0), hostIn("web-2", release.Pending, 0, 0))
	ended := statusWith(hostIn("web-1", release.Active, 9, 0), hostIn("web-2", release.Failed, 0, 0), hostIn("web-3", release.Fetching, 0, 0))
	ended.Phase = release.DeployFailed
	cases := []struct {
		name       string
		prev, next control.DeployStatus
		want       []string
	}{
		{"all is new at first", control.DeployStatus{}, first, []string{"web-1 pending", "web-2 pending", "running"}},
		{"nothing", first, first, nil},
		{"a host moved", first, moved, []string{"web-1 fetching"}},
		{"progress is no change", moved, more, nil},
		{"the end, and a late host", more, ended, []string{"web-1 active", "web-2 failed", "web-3 fetching", "failed"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, ch := range changesOf(c.prev, c.next, time.Unix(1, 0)) {
				if ch.Host != nil {
					got = append(got, fmt.Sprint(ch.Host.Name, " ", ch.Host.Phase))
				} else {
					got = append(got, ch.Phase.String())
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFailureLine(t *testing.T) {
	hook := &control.HookResult{Exit: 42, Tail: "starting\n\x1b[31mno database\x1b[0m\n\n"}
	cases := []struct {
		host control.HostStatus
		want string
	}{
		{control.HostStatus{Name: "web-1", Reason: "hook: exited with status 42", Hook: hook}, "web-1 failed: hook: exited with status 42 | [31mno database[0m"},
		{control.HostStatus{Name: "web-1", Reason: "fetch: disk full: need\n5 MiB"}, "web-1 failed: fetch: disk full: need; 5 MiB"},
		{control.HostStatus{Name: "web-1", Bytes: release.Bytes{Peer: 1}}, "web-1 failed: no reason given"},
	}
	for _, c := range cases {
		if got := failure(c.host); got != c.want {
			t.Errorf("got  %q\nwant %q", got, c.want)
		}
	}
}

// TestHugeHookLine holds that what a hook prints does not flood the text that
// crow shows.
func TestHugeHookLine(t *testing.T) {
	h := failedHook("web-1")
	h.Reason = strings.Repeat("r", control.MaxReasonLen)
	h.Hook.Tail = strings.Repeat("x", control.MaxTailLen)
	if tail := tailOf(h, 1); utf8.RuneCountInString(tail[0]) != maxHookLine || !strings.HasSuffix(tail[0], "x…") {
		t.Errorf("tail %q", tail)
	}
	if line := failure(h); utf8.RuneCountInString(line) != maxErrorLine {
		t.Errorf("line of %d: %s", len(line), line)
	}
	st := ended(statusWith(h, h), release.DeployFailed)
	if text := resultOf(st).Error(); len(text) > maxErrorLine || !strings.HasSuffix(text, "…, and 1 more") {
		t.Errorf("error of %d: %s", len(text), text)
	}
	st.Reason = h.Reason
	var b bytes.Buffer
	writeSummary(&b, st, st.Started)
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(line) > maxErrorLine+30 { // the name and the step stand before the reason
			t.Errorf("line of %d: %s", len(line), line)
		}
	}
	if note := noteOn(h, "", mib); utf8.RuneCountInString(note) != maxNote {
		t.Errorf("note of %d: %s", len(note), note)
	}
}

func TestTail(t *testing.T) {
	h := control.HostStatus{Hook: &control.HookResult{Tail: "a\nb\r\n\n  c  \nd"}}
	for n, want := range map[int][]string{0: {}, 1: {"d"}, 2: {"c", "d"}, 9: {"a", "b", "c", "d"}} {
		if got := tailOf(h, n); !slices.Equal(got, want) {
			t.Errorf("last %d: %q, want %q", n, got, want)
		}
	}
	if got := tailOf(control.HostStatus{}, 3); got != nil {
		t.Errorf("without a hook: %q", got)
	}
}
