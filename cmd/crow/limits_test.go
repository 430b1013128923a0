package main

import (
	"bytes"
	"testing"

	"crow/internal/control"
)

func rate(n int64) *int64 { return &n }

func TestLimitsTable(t *testing.T) {
	up := control.WantedLimits{Upload: rate(50 << 20)}
	says := func(w control.WantedLimits) *control.Limits {
		l := w.Over(0, 300<<20)
		return &l
	}
	hosts := []control.Host{
		{Name: "web-1", State: control.HostAlive, Wanted: up, Limits: says(up)},
		{Name: "web-2", State: control.HostFailed, Wanted: up, Limits: says(control.WantedLimits{})},
		{Name: "web-3", State: control.HostAlive, Limits: says(up)},
		{Name: "web-4", State: control.HostAlive},
		{Name: "evil\x1b[2J", State: control.HostLeft, Wanted: control.WantedLimits{Upload: rate(0), Download: rate(1 << 20)}},
	}
	seeder := control.Limits{Upload: control.Limit{From: control.LimitConfig}}
	var b bytes.Buffer
	writeTable(&b, limitRows(limitsDocument(&seeder, hosts)))
	const want = `HOST      STATE   UPLOAD             DOWNLOAD            PENDING
(seeder)  -       no limit (config)  -                   -
web-1     alive   50 MiB/s (order)   300 MiB/s (config)  -
web-2     failed  no limit (config)  300 MiB/s (config)  upload: 50 MiB/s
web-3     alive   50 MiB/s (order)   300 MiB/s (config)  reset to the config
web-4     alive   -                  -                   -
evil[2J   left    -                  -                   upload: no limit, download: 1 MiB/s
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
	for i, want := range []string{
		"up 50 MiB/s down 300 MiB/s", "down 300 MiB/s (pending)", "up 50 MiB/s down 300 MiB/s (pending)", "-", "(pending)",
	} {
		if got := limitsIn(hosts[i]); got != want {
			t.Errorf("in the list of hosts: %q, want %q", got, want)
		}
	}
}

func TestChangeWords(t *testing.T) {
	alive, left := control.Host{Name: "a", State: control.HostAlive}, control.Host{Name: "b", State: control.HostLeft}
	for _, c := range []struct {
		change control.ChangeLimits
		hosts  []control.Host
		want   string
	}{
		{control.ChangeLimits{Upload: rate(50 << 20)}, []control.Host{alive}, "upload: 50 MiB/s for 1 host"},
		{control.ChangeLimits{Upload: rate(0), Download: rate(1 << 20)}, []control.Host{alive, left}, "upload: no limit, download: 1 MiB/s for 2 hosts (1 offline, applies on return: b)"},
		{control.ChangeLimits{Reset: true}, []control.Host{left}, "limits reset to the config for 1 host (1 offline, applies on return: b)"},
	} {
		if got := changeWords(c.change, c.hosts); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
