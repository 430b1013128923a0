package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crow/internal/control"
	"crow/internal/release"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func TestPlainLines(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	var b bytes.Buffer
	p := newPlain(&b, c.now)
	show := func(after time.Duration, hosts ...control.HostStatus) {
		c.advance(after)
		p.fleet(fleetOf(statusWith(hosts...)), 2e6, c.at.Sub(time.Unix(1000, 0)))
	}
	p.upload("uploading", mib, 100*mib)
	c.advance(6 * time.Second)
	p.upload("uploading", 60*mib, 100*mib)
	p.upload("uploading", 61*mib, 100*mib)
	p.upload("uploading", 100*mib, 100*mib)
	show(0, hostIn("a", release.Pending, 0, 0))                            // too soon
	show(time.Second, hostIn("a", release.Fetching, 30*mib, 10*mib))       // a change
	show(time.Second, hostIn("a", release.Fetching, 40*mib, 10*mib))       // none
	show(4*time.Second, hostIn("a", release.Fetching, 45*mib, 15*mib))     // a sign of life
	show(10*time.Millisecond, hostIn("a", release.Active, 75*mib, 25*mib)) // the end
	show(10*time.Millisecond, hostIn("a", release.Active, 75*mib, 25*mib)) // again
	p.note("web-1 failed: on purpose")
	p.close()
	const want = `uploading: 60 MiB of 100 MiB, 60%
uploading: 100 MiB of 100 MiB, 100%
web@1.42.0: 0/1 hosts, 1 fetching, 36%, 1.9 MiB/s, 75% from peers, 7.0s
web@1.42.0: 0/1 hosts, 1 fetching, 54%, 1.9 MiB/s, 75% from peers, 12.0s
web@1.42.0: 1/1 hosts, 100%, 1.9 MiB/s, 75% from peers, 12.0s
web-1 failed: on purpose
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestPlainNamesHostsAway(t *testing.T) {
	away := func(name string) control.HostStatus {
		return control.HostStatus{Name: name, Reason: "unreachable: last heard 40s ago"}
	}
	failed := away("f")
	failed.Phase = release.Failed
	cases := []struct {
		hosts []control.HostStatus
		want  string
	}{
		{[]control.HostStatus{away("a"), hostIn("b", release.Pending, 0, 0), failed}, ", 9.0s; not reachable: a\n"},
		{[]control.HostStatus{{Name: "a", Reason: "not reachable since 12:00"}}, ", 9.0s; not reachable: a\n"},
		{[]control.HostStatus{away("a"), away("b"), away("c"), away("d"), away("e")}, ", 9.0s; not reachable: a, b, c and 2 more\n"},
		{[]control.HostStatus{failed, {Name: "a", Reason: "no space"}}, ", 9.0s\n"},
	}
	for _, c := range cases {
		clock := &clock{time.Unix(1000, 0)}
		var b bytes.Buffer
		p := newPlain(&b, clock.now)
		clock.advance(9 * time.Second)
		p.fleet(fleetOf(statusWith(c.hosts...)), 0, 9*time.Second)
		if !strings.HasSuffix(b.String(), c.want) {
			t.Errorf("got %q, want it to end in %q", b.String(), c.want)
		}
	}
}

func TestSentText(t *testing.T) {
	cases := []struct {
		done, total int64
		took        time.Duration
		want        string
	}{
		{0, 219, 0, "0 B of 219 B"},
		{219, 219, time.Second, "219 B of 219 B, 219 B/s"},
		{60 * mib, 100 * mib, 2 * time.Second, "60 MiB of 100 MiB, 30 MiB/s"},
	}
	for _, c := range cases {
		if got := sentText(c.done, c.total, c.took); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestWatchNamesEachFailureOnce(t *testing.T) {
	var b bytes.Buffer
	c := &clock{time.Unix(1000, 0)}
	s := &session{streams: streams{err: &b, color: true}}
	w := s.newWatch(newPlain(&b, c.now))
	st := statusWith(failedHook("web-2"), hostIn("web-1", release.Fetching, 0, 0))
	w.show(st, c.now())
	if changes := w.show(st, c.now()); len(changes) != 0 {
		t.Errorf("changes without any: %v", changes)
	}
	if want := "\x1b[31mweb-2 failed: hook exited with status 42 | no database\x1b[0m\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// TestBars draws real bars off a terminal, as --progress tty does.
func TestBars(t *testing.T) {
	defer goleak.VerifyNone(t)
	var b bytes.Buffer
	p := newBars(streams{err: &b})
	p.upload("uploading", 50*mib, 100*mib)
	p.upload("uploading", 100*mib, 100*mib)
	p.fleet(fleetOf(statusWith(hostIn("web-1", release.Fetching, 60*mib, 20*mib))), 2e6, time.Second)
	p.note("web-2 failed: on purpose")
	p.fleet(fleetOf(statusWith(hostIn("web-1", release.Active, 75*mib, 25*mib))), 2e6, 2*time.Second)
	p.close()
	for _, want := range []string{"uploading", "100 MiB of 100 MiB, ", "web-2 failed: on purpose\n", "web@1.42.0", "1/1 hosts, 1.9 MiB/s"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in %q", want, b.String())
		}
	}
}

// TestBarsThatEndEarly closes bars at every point where a push may fail.
func TestBarsThatEndEarly(t *testing.T) {
	defer goleak.VerifyNone(t)
	for n := range 4 {
		var b bytes.Buffer
		p := newBars(streams{err: &b})
		if n > 0 {
			p.upload("uploading", mib, 100*mib)
		}
		if n > 1 {
			p.fleet(fleetOf(statusWith(hostIn("web-1", release.Pending, 0, 0))), 0, 0)
		}
		if n > 2 {
			p.fleet(fleetOf(statusWith(failedHook("web-1"))), 0, 0)
		}
		p.close()
		p.note("after the end")
	}
}

func TestResolveProgress(t *testing.T) {
	cases := []struct {
		mode            progressMode
		terminal, quiet bool
		want            progressMode
	}{
		{progressAuto, true, false, progressTTY},
		{progressAuto, false, false, progressPlain},
		{progressPlain, true, false, progressPlain},
		{progressTTY, false, false, progressTTY},
		{progressNone, true, false, progressNone},
		{progressAuto, true, true, progressNone},
		{progressTTY, true, true, progressNone},
	}
	for _, c := range cases {
		if got := resolveProgress(c.mode, c.terminal, c.quiet); got != c.want {
			t.Errorf("%+v: got %s", c, got)
		}
	}
}
