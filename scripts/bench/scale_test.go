package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// scaleRun is bench --scale, and its figures.
func scaleRun(t *testing.T, crow string, args ...string) (code int, out string, r report) {
	t.Helper()
	work, figures := t.TempDir(), filepath.Join(t.TempDir(), "figures.json")
	var stdout, stderr strings.Builder
	args = append([]string{"bench", "--crow-binary", crow, "--work", work, "--json", figures}, args...)
	code = run(context.Background(), args, &stdout, &stderr)
	b, err := os.ReadFile(figures)
	if err := errors.Join(err, json.Unmarshal(b, &r)); err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
	return code, stdout.String() + stderr.String(), r
}

// TestScale has a real seeder and simulated hosts: bench itself compares what the
// hosts said with what the seeder made of it.
func TestScale(t *testing.T) {
	crow := crowBinary(t)
	for _, args := range [][]string{{"--scale", "20"}, {"--scale", "20", "--deploys", "4"}} {
		code, out, r := scaleRun(t, crow, args...)
		if code != exitDone || r.Scale == nil || len(r.Scale.Outcomes) != 1 {
			t.Fatalf("%v: exit %d: %s", args, code, out)
		}
		o := r.Scale.Outcomes[0]
		if o.Order < o.Own || o.Own <= 0 || o.Wall < o.Order || o.CPU <= 0 || o.Peak < mib || len(o.During) == 0 || len(o.After) != scaleSamples {
			t.Errorf("%v: %+v", args, o)
		}
		if many := len(args) > 2; many != (o.End != nil) || many && (o.Begin.Goroutines == 0 || o.End.Files == 0 || o.End.Disk <= o.Begin.Disk || o.End.RSS < mib) {
			t.Errorf("%v: %+v, then %+v", args, o.Begin, o.End)
		}
		if !strings.Contains(out, "**20 hosts on one seeder, 1 of which fail**") {
			t.Errorf("%v: %s", args, out)
		}
	}
	scaleStalls(t, crow)
}

// scaleStalls makes sure that a run that takes longer than it may fails, and that
// its logs are kept.
func scaleStalls(t *testing.T, crow string) {
	t.Helper()
	logs := t.TempDir()
	code, out, _ := scaleRun(t, crow, "--scale", "2", "--limit", "1s", "--logs", logs)
	if code != exitFailed || !strings.Contains(out, "- crow --scale, run 1: it was ended after 1s: ") {
		t.Errorf("exit %d: %s", code, out)
	}
	if got, err := filepath.Glob(logs + "/*/seeder.log"); err != nil || len(got) != 1 {
		t.Errorf("logs that were kept: %v, %v", got, err)
	}
}

func TestScaleMarkdown(t *testing.T) {
	s := scaled{Hosts: 1000, Failing: 10, Deploys: 3, Outcomes: []scaleOutcome{
		{
			Run: 1, Order: 5, Own: 4, CPU: 3, Wall: 6, Peak: 301 << 20, During: []float64{0.1, 0.05, 0.25}, After: []float64{0.02}, Deploys: 3,
			Begin: &holding{RSS: 100 << 20, Goroutines: 4000, Files: 2010, Disk: 512 << 10}, End: &holding{RSS: 110 << 20, Goroutines: 4001, Files: 2010, Disk: 1 << 20},
		},
		{Run: 2, Failure: "seeder ended: signal: killed"},
	}}
	const want = `**1000 hosts on one seeder, 10 of which fail**

| figure | runs | measured | must be | verdict |
|---|---:|---:|---:|---:|
| from the order to the last host, s | 1 | 5.00 | - | - |
| of which the slowest host took itself, s | 1 | 4.00 | - | - |
| seeder's CPU in the deploy, s | 1 | 3.00 | - | - |
| seeder's cores in the deploy | 1 | 0.50 | at most 1.00 | held |
| seeder's memory at most, MiB | 1 | 301 | at most 300 | **missed** |
| crow status in the deploy, median, ms | 1 | 100 | at most 200 | held |
| crow status in the deploy, worst, ms | 1 | 250 | at most 200 | **missed** |
| crow status after it, median, ms | 1 | 20 | at most 200 | held |
| crow status after it, worst, ms | 1 | 20 | at most 200 | held |

3 deploys in a row, each to all hosts:

| seeder | after the first | after the last |
|---|---:|---:|
| seeder's memory now, MiB | 100.0 | 110.0 |
| goroutines | 4000 | 4001 |
| open files | 2010 | 2010 |
| disk, KiB | 512 | 1024 |

Failed runs:
- crow --scale, run 2: seeder ended: signal: killed
`
	if got := s.markdown(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	s.Outcomes[0].During = nil
	if got := s.markdown(); !strings.Contains(got, "| crow status in the deploy, worst, ms | 1 | - | at most 200 | - |") {
		t.Errorf("what was not measured: %s", got)
	}
	s.Outcomes[0].During = []float64{0.1, 0.05, 0.25}
	r := report{Scale: &s}
	if !r.failed() || r.empty() || !strings.HasSuffix(r.markdown(), want+"\n"+scaleLegend) {
		t.Errorf("the report: %s", r.markdown())
	}
}
