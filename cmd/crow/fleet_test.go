package main

import (
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

const mib = 1 << 20

// statusWith is a running deploy of a 100 MiB artifact to hosts.
func statusWith(hosts ...control.HostStatus) control.DeployStatus {
	return control.DeployStatus{
		Schema: control.StatusSchema, Deploy: "d-7f3a", App: "web", Version: "1.42.0",
		Artifact: control.Artifact{Bytes: 100 * mib}, Target: release.Selector{Targets: []release.Expr{"role=web"}},
		Started: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Hosts: hosts,
	}
}

func hostIn(name string, p release.Phase, fromPeers, fromSeeder int64) control.HostStatus {
	return control.HostStatus{Name: name, Phase: p, Bytes: release.Bytes{Peer: fromPeers, Seeder: fromSeeder}}
}

func TestFleetCounts(t *testing.T) {
	late := hostIn("web-9", release.Fetching, 5, 5)
	late.Late = true
	unchanged := hostIn("web-2", release.Active, 0, 0)
	unchanged.Unchanged = true
	cases := []struct {
		name   string
		hosts  []control.HostStatus
		counts string
		done   int64
		peers  int
	}{
		{"none", nil, "0/0 hosts", 0, 0},
		{"nothing yet", []control.HostStatus{hostIn("web-1", release.Pending, 0, 0)}, "0/1 hosts, 1 pending", 0, 0},
		{
			"half way",
			[]control.HostStatus{hostIn("web-1", release.Fetching, 30*mib, 20*mib), hostIn("web-2", release.Fetching, 50*mib, 0)},
			"0/2 hosts, 2 fetching", 450, 80,
		},
		{
			"late ones are not counted",
			[]control.HostStatus{hostIn("web-1", release.Active, 75*mib, 25*mib), late},
			"1/1 hosts", 1000, 75,
		},
		{
			"a failed host is over",
			[]control.HostStatus{hostIn("web-1", release.Active, 0, 100*mib), hostIn("web-2", release.Failed, 0, 0)},
			"1/2 hosts, 1 failed", 550, 0,
		},
		{"unchanged", []control.HostStatus{unchanged}, "1/1 hosts", 1000, 0},
		{
			"what was received twice counts once",
			[]control.HostStatus{{Phase: release.Fetching, Bytes: release.Bytes{Peer: 60 * mib, Wasted: 10 * mib}}},
			"0/1 hosts, 1 fetching", 450, 100,
		},
		{
			"staged is fetched, whatever was counted",
			[]control.HostStatus{{Phase: release.Staged, Bytes: release.Bytes{Peer: 7}}},
			"0/1 hosts, 1 staged", 900, 100,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			f := fleetOf(statusWith(c.hosts...))
			if f.counts() != c.counts || f.done() != c.done || f.fromPeers() != c.peers {
				t.Errorf("got %q, %d, %d%%; want %q, %d, %d%%", f.counts(), f.done(), f.fromPeers(), c.counts, c.done, c.peers)
			}
		})
	}
}

func TestFleetOfUnknownSize(t *testing.T) {
	st := statusWith(hostIn("web-1", release.Active, 1, 0))
	st.Artifact.Bytes = 0
	if f := fleetOf(st); f.done() < 0 || f.done() > barTotal || copies(f) != 0 {
		t.Errorf("done %d, copies %f of an artifact without a size", f.done(), copies(f))
	}
}

func TestMeter(t *testing.T) {
	at := func(s float64) time.Time { return time.Unix(1000, 0).Add(time.Duration(s * float64(time.Second))) }
	var m meter
	steps := []struct {
		at    float64
		count int64
		want  int
	}{
		{0, 100, 0},     // the first says nothing
		{0, 500, 0},     // no time passed
		{1, 1100, 1000}, // since the beginning
		{2, 2100, 1000},
		{5, 2100, 320}, // all of the window
		{6, 2100, 200}, // the window moved on
		{10, 2100, 0},  // nothing in the window
		{11, 0, 0},     // a restarted seeder
		{12, 3000, 3000},
		{99, 90000, 1000}, // a long silence: the mean since then
	}
	for i, s := range steps {
		if got := m.add(at(s.at), s.count); int(got) != s.want {
			t.Errorf("step %d: rate %.1f, want %d", i, got, s.want)
		}
	}
}

func TestPercent(t *testing.T) {
	for _, c := range []struct{ part, whole, want int64 }{{0, 0, 0}, {1, 0, 0}, {1, 2, 50}, {2, 2, 100}, {1 << 60, 1 << 61, 50}} {
		if got := percent(c.part, c.whole); int64(got) != c.want {
			t.Errorf("percent(%d, %d) = %d, want %d", c.part, c.whole, got, c.want)
		}
	}
}
