package main

import (
	"math"
	"testing"
	"time"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestWeigh(t *testing.T) {
	s := &stage{
		scenario: scenario{Hosts: 2}, file: artifact{size: 1000}, t1: 2 * time.Second,
		before: map[int]traffic{0: {sent: 50}, 1: {received: 10}},
		after:  map[int]traffic{0: {sent: 1350}, 1: {received: 1120}, 2: {received: 1100}},
	}
	var o outcome
	o.weigh(delivery{seconds: []float64{3, 2.5}, sent: 1200, wasted: 100}, s)
	if !near(o.ratio(), 1.5) || !near(o.medianRatio(), 1.375) || o.Delivered != 2000 {
		t.Errorf("%v %v %v", o.ratio(), o.medianRatio(), o.Delivered)
	}
	if !near(o.Copies, 1.2) || !near(o.Twice, 0.05) || !near(o.LinkCopies, 1.3) || !near(o.LinkExcess, 0.105) {
		t.Errorf("%+v", o)
	}
	o.weigh(delivery{seconds: []float64{3, 2.5}, sent: 3600, wasted: 600, apps: 3}, s)
	if !near(o.Copies, 1.2) || !near(o.Twice, 0.1) || o.Delivered != 6000 {
		t.Errorf("three apps: %+v", o)
	}
}

func TestCPUPerGiB(t *testing.T) {
	o := outcome{CPU: 6, Delivered: 4 << 30}
	if got := o.cpuPerGiB(); !near(got, 1.5) {
		t.Error(got)
	}
	if got := (outcome{CPU: 6}).cpuPerGiB(); got != 0 {
		t.Error(got)
	}
}

func TestCharge(t *testing.T) {
	var o outcome
	o.charge([]*process{
		{job: job{part: partSeeder}, peak: 70, done: make(chan struct{})},
		{job: job{part: partPeer}, peak: 20, done: make(chan struct{})},
		{job: job{part: partPeer}, peak: 30, done: make(chan struct{})},
		{job: job{part: partOther}, peak: 99, done: make(chan struct{})},
	})
	if o.SeederPeak != 70 || o.WorstPeak != 30 {
		t.Errorf("%+v", o)
	}
}

func TestSecondsSince(t *testing.T) {
	start := time.Now()
	got := secondsSince(start, []time.Time{start.Add(1500 * time.Millisecond), start.Add(-3 * time.Millisecond)})
	if len(got) != 2 || got[0] != 1.5 || got[1] != 0.001 {
		t.Errorf("got %v", got)
	}
}

func TestParsePeak(t *testing.T) {
	if got := parseMemory("Name:\tcrow\nVmPeak:\t 2000 kB\nVmHWM:\t   35432 kB\nVmRSS:\t 100 kB\n", "VmHWM:"); got != 35432<<10 {
		t.Error(got)
	}
	if got := parseMemory("Name:\tkthread\n", "VmHWM:"); got != 0 {
		t.Error(got)
	}
}

func TestParseCPU(t *testing.T) {
	const rest = " S 1 2 3 4 5 6 7 8 9 10 150 25 7 8 20 0 11 0 99"
	for stat, want := range map[string]time.Duration{"12 (crow)" + rest: 1750 * time.Millisecond, "12 (a) b (c))" + rest: 1750 * time.Millisecond, "12 (crow) S 1": -1, "": -1} {
		got, err := parseCPU(stat)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%q: got %s, %v", stat, got, err)
		}
	}
}

func TestMachine(t *testing.T) {
	if got := cpuModel("processor\t: 0\nmodel name\t: Intel(R)  Xeon(R) CPU\n\nmodel name\t: other\n"); got != "Intel(R) Xeon(R) CPU" {
		t.Error(got)
	}
	if got := totalMemory("MemTotal:       24683656 kB\nMemFree: 1 kB\n"); got != 24683656<<10 {
		t.Error(got)
	}
	if firstField("0.22 0.3") != "0.22" || firstField("") != "unknown" || totalMemory("") != 0 {
		t.Error("what is not known must say so")
	}
}
