package main

import (
	"testing"
	"time"
)

func TestBitrate(t *testing.T) {
	for _, test := range []struct {
		in   string
		want bitrate
		tc   string
		text string
	}{
		{"50mbit", 50e6, "50000000bit", "50 Mbit/s links"},
		{"1Gbit", 1e9, "1000000000bit", "1 Gbit/s links"},
		{"2.5gbit", 25e8, "2500000000bit", "2.5 Gbit/s links"},
		{"512kbit", 512e3, "512000bit", "512 Kbit/s links"},
		{"20000bit", 20e3, "20000bit", "20 Kbit/s links"},
		{"none", 0, "0bit", "links not shaped"},
	} {
		got, err := parseBitrate(test.in)
		if err != nil || got != test.want || got.tc() != test.tc || got.String() != test.text {
			t.Errorf("%s: got %d, %s, %s, %v", test.in, got, got.tc(), got, err)
		}
	}
	for _, bad := range []string{"", "50", "mbit", "-1mbit", "NaNmbit", "9kbit", "2000gbit", "50mbps", "50 m bit"} {
		if got, err := parseBitrate(bad); err == nil {
			t.Errorf("%q was taken for %d", bad, got)
		}
	}
}

func TestScenario(t *testing.T) {
	s := scenario{Hosts: 16, Size: 64 << 20, Rate: 50e6}
	if got := s.String(); got != "16 hosts, 64 MiB, 50 Mbit/s links" {
		t.Error(got)
	}
	if got := s.ideal().Round(time.Millisecond); got != 10737*time.Millisecond {
		t.Error(got)
	}
	if got := (scenario{Hosts: 1, Size: 1 << 30}); got.ideal() != 0 || got.String() != "1 host, 1 GiB, links not shaped" {
		t.Error(got)
	}
}

// Each limit leaves a slow machine room, and none lets a stalled run stand for
// hours.
func TestLimit(t *testing.T) {
	s := scenario{Hosts: 16, Size: 64 << 20, Rate: 50e6}
	const t1 = 11 * time.Second
	for name, want := range map[string]time.Duration{
		nameCrow: time.Minute + 10*t1, nameCrowTLS: time.Minute + 10*t1, nameAria2: time.Minute + 10*t1,
		nameHTTP:   time.Minute + 42*t1, // 16 of which it takes
		nameUneven: time.Minute + 100*t1, nameApps: time.Minute + 30*t1,
	} {
		if got := limitOf(name, s, t1, 3); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if got := limitOf(nameHTTP1, s, 0, 0); got < 60*time.Second+10*s.ideal() || got > 3*time.Minute {
		t.Errorf("shaped yardstick: %s", got)
	}
	if got := limitOf(nameHTTP1, scenario{Hosts: 4, Size: 1 << 30}, 0, 0); got < 5*time.Minute {
		t.Errorf("1 GiB to a slow disk: %s", got)
	}
}

func TestAddress(t *testing.T) {
	for host, want := range map[int]string{0: "10.77.0.1", 1: "10.77.0.2", 249: "10.77.0.250", 250: "10.77.1.1", 1000: "10.77.4.1"} {
		if got := address(host); got != want {
			t.Errorf("host %d: got %s, want %s", host, got, want)
		}
	}
}
