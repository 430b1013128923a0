package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func crowRun(run int, makespan float64) outcome {
	return outcome{
		System: nameCrow, Run: run, T1: 10, Seconds: []float64{makespan - 0.5, makespan}, Copies: 1.05, Twice: 0.004,
		CPU: 8, Delivered: 2 << 30, SeederPeak: 60 << 20, WorstPeak: 90 << 20,
	}
}

func exampleReport() report {
	outcomes := []outcome{
		{System: nameHTTP1, Run: 1, T1: 10, Seconds: []float64{10}, Copies: 1, CPU: 1, Delivered: 1 << 30, SeederPeak: 8 << 20, WorstPeak: 8 << 20},
		crowRun(1, 11), {System: nameAria2, Run: 1, Failure: "it was ended after 2m50s: 1 of 2 hosts had the file"},
		crowRun(2, 12), {System: nameCrow, Run: 3, Failure: "seeder ended: signal: killed"},
	}
	return report{
		Facts: facts{
			Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), CPU: "Xeon", Cores: 2, Memory: 24 << 30, Load: "0.10", Kernel: "Linux 6.1", Go: "go1.26",
			Versions: map[string]string{nameCrow: "crow 1.0"}, Command: "bin/bench --hosts 2",
		},
		LeftOut: []string{"libtorrent left out: it is missing"},
		Results: []result{newResult(scenario{Hosts: 2, Size: 1 << 30, Rate: 1e9}, outcomes, 0)},
	}
}

const exampleMarkdown = `- 2026-01-02 03:04 UTC, Linux 6.1
- Xeon, 2 cores, 24 GiB of memory, load 0.10 before the start
- go1.26; crow 1.0
- ` + "`bin/bench --hosts 2`" + `
- libtorrent left out: it is missing

**2 hosts, 1 GiB, 1 Gbit/s links**

| system | runs | makespan, s | over http1 | median host over http1 | copies sent | fetched twice, % | CPU, s | CPU per GiB, s | seeder's memory, MiB | worst host's memory, MiB |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| http1 | 1 | 10.0 | 1.00 | 1.00 | 1.00 | 0.0 | 1.00 | 1.00 | 8 | 8 |
| crow | 3, **1 failed** | 11.5 (11.0-12.0) | 1.15 (1.10-1.20) | 1.12 (1.07-1.18) | 1.05 | 0.4 | 8.00 | 4.00 | 60 | 90 |
| aria2 | 1, **1 failed** | - | - | - | - | - | - | - | - | - |

Failed runs:
- aria2, run 1: it was ended after 2m50s: 1 of 2 hosts had the file
- crow, run 3: seeder ended: signal: killed

`

func TestMarkdown(t *testing.T) {
	r := exampleReport()
	if got := r.markdown(); got != exampleMarkdown+legend {
		t.Errorf("got\n%s\nwant\n%s", got, exampleMarkdown+legend)
	}
	r.Interrupted = true
	if !strings.Contains(r.markdown(), "runs are missing") {
		t.Error("an interrupted report does not say so")
	}
}

func TestJSON(t *testing.T) {
	r := exampleReport()
	path := filepath.Join(t.TempDir(), "figures.json")
	if err := r.writeJSON(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(b, &back); err != nil || back.markdown() != r.markdown() {
		t.Errorf("%v\n%s", err, b)
	}
	if err := r.writeJSON(""); err != nil {
		t.Error(err)
	}
}

func TestConclude(t *testing.T) {
	broken := errors.New("tbf is missing")
	good := exampleReport()
	good.Results[0].Outcomes = good.Results[0].Outcomes[:2]
	interrupted, cancel := contextPair(t)
	cancel()
	running, _ := contextPair(t)
	for _, test := range []struct {
		name string
		r    report
		err  error
		want int
	}{
		{"good", good, nil, exitDone},
		{"a failed run", exampleReport(), nil, exitFailed},
		{"broke off", good, broken, exitFailed},
		{"could do nothing", report{}, broken, exitUnable},
	} {
		var out, errs strings.Builder
		if got := conclude(running, test.r, test.err, "", &out, &errs); got != test.want {
			t.Errorf("%s: got %d, want %d: %s", test.name, got, test.want, errs.String())
		}
		if (out.Len() > 0) != (len(test.r.Results) > 0) {
			t.Errorf("%s: printed %q", test.name, out.String())
		}
	}
	var out, errs strings.Builder
	if got := conclude(interrupted, good, nil, "", &out, &errs); got != exitInterrupted || !strings.Contains(out.String(), "| crow |") {
		t.Errorf("interrupted: got %d: %s", got, out.String())
	}
}
