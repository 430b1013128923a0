package main

import (
	"reflect"
	"testing"
)

func TestFindings(t *testing.T) {
	plain := func(run int, seconds ...float64) outcome {
		return outcome{System: nameCrow, Run: run, T1: 10, Seconds: seconds}
	}
	trial := func(name string, run int, seconds ...float64) outcome {
		return outcome{System: name, Run: run, T1: 10, Seconds: seconds}
	}
	outcomes := []outcome{
		{System: nameHTTP1, Run: 1, T1: 10, Seconds: []float64{10}},
		plain(1, 11, 12, 16), trial(nameUneven, 1, 12, 12.6, 110), trial(nameLate, 1, 12, 12, 11), trial(nameApps, 1, 33, 48, 40),
		plain(2, 10, 10, 10), trial(nameUneven, 2, 11, 10, 120),
		{System: nameCrow, Run: 3, Failure: "stalled"}, trial(nameUneven, 3, 1, 1, 1), // nothing to compare with
		plain(4, 10, 10, 10), {System: nameUneven, Run: 4, Failure: "stalled"},
	}
	want := []finding{
		{nameUneven, "the others over a run with even links", 1.1, 2, spread{1.075, 1.05, 1.1}},
		{nameUneven, "the slow host over ten times http1", 0, 2, spread{1.15, 1.1, 1.2}},
		{nameLate, "the late host's own time over http1", 1.3, 1, spread{1.1, 1.1, 1.1}},
		{nameLate, "the others over a run where none is late", 0, 1, spread{1, 1, 1}},
		{nameApps, "the last app's end over the sum of each alone", 1.15, 1, spread{1, 1, 1}},
	}
	got := findings(outcomes, 3)
	for i := range got {
		got[i].Spread = spread{round(got[i].Spread.Median), round(got[i].Spread.Min), round(got[i].Spread.Max)}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if got := findings(outcomes[:2], 0); got != nil {
		t.Errorf("without trials: %v", got)
	}
}

// Each trial's line says what it is held to and whether it was.
func TestVerdicts(t *testing.T) {
	got := findingTable([]finding{
		{nameUneven, "the others", mostSlowed, 2, spread{1.104, 1, 1.2}}, {nameUneven, "the slow host", 0, 2, spread{1.15, 1.15, 1.15}},
		{nameLate, "the late host", mostLate, 1, spread{1.31, 1.31, 1.31}}, {nameApps, "the last app", mostApps, 1, spread{0.9, 0.9, 0.9}},
	})
	const want = `| trial | runs | ratio | must be | verdict |
|---|---:|---:|---:|---:|
| crow --uneven: the others | 2 | 1.10 (1.00-1.20) | at most 1.10 | held |
| crow --uneven: the slow host | 2 | 1.15 | - | - |
| crow --join-late: the late host | 1 | 1.31 | at most 1.30 | **missed** |
| crow --apps: the last app | 1 | 0.90 | at most 1.15 | held |
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func round(v float64) float64 { return float64(int(v*1e6+0.5)) / 1e6 }
