package main

import (
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func TestAway(t *testing.T) {
	now := time.Unix(1000, 0)
	heard := now.Add(-12 * time.Second)
	away := awayOf([]control.Host{
		{Name: "there", State: control.HostAlive, LastSeen: heard}, {Name: "dead", State: control.HostFailed, LastSeen: heard},
		{Name: "new", State: control.HostFailed}, {Name: "gone", State: control.HostLeft, LastSeen: heard},
	}, now)
	late := control.HostStatus{Name: "dead", Late: true}
	for _, c := range []struct {
		name string
		host control.HostStatus
		want string
	}{
		{"alive", hostIn("there", release.Fetching, 40*mib, 10*mib), "50%, mostly from peers"},
		{"failed", hostIn("dead", release.Fetching, 40*mib, 10*mib), "not reachable: last heard 12s ago"},
		{"never there", hostIn("new", release.Pending, 0, 0), "not reachable: never heard"},
		{"stopped", hostIn("gone", release.Pending, 0, 0), "not reachable: its agent was stopped, last heard 12s ago"},
		{"late", late, "not reachable: last heard 12s ago (not there when it began)"},
		{"the deploy knows more", control.HostStatus{Name: "dead", Reason: "unreachable: last heard 70s ago, it was fetching"}, "unreachable: last heard 70s ago, it was fetching"},
		{"has what it should", hostIn("dead", release.Active, 0, 0), ""},
	} {
		if got := (deployView{st: statusWith(), away: away}).noteOn(c.host); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
