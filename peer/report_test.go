package peer

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
)

// desk is a reporter that talks to an office.
func desk(t *testing.T) (*reporter, *office, *control.Client) {
	t.Helper()
	o := newOffice(t)
	o.hosts["web-1"] = control.Hello{Boot: "b"}
	http := transport.Security{}.HTTPClient()
	t.Cleanup(http.CloseIdleConnections)
	c, err := control.NewClient(o.url(), http)
	if err != nil {
		t.Fatal(err)
	}
	return newReporter(quick(), nopLog, func() {}, func() *int64 { return nil }), o, c
}

func reportOf(seq uint64, phase release.Phase) control.Report {
	return control.Report{Host: "web-1", Boot: "b", Seq: seq, Jobs: []control.JobReport{{Deploy: "d-1", Phase: phase}}}
}

func TestReporterSendsTheNewestUntilItIsTaken(t *testing.T) {
	r, o, c := desk(t)
	o.refuse = true
	r.use(c)
	runFor(t, func(ctx context.Context) error { r.run(ctx); return nil })
	r.offer(reportOf(1, release.Fetching), true)
	r.offer(reportOf(2, release.Verified), true)
	r.offer(reportOf(3, release.Staged), false)
	o.set(func() { o.refuse = false })
	o.until(t, "report 3", func() bool { return o.newest["web-1"].Seq == 3 })
	eventually(t, "nothing is left to send", func() bool {
		_, report, _ := r.due(time.Now(), time.Time{}, time.Time{})
		return report == nil
	})
}

func TestReporterPaces(t *testing.T) {
	now := time.Unix(1000, 0)
	progress, retry := now.Add(5*time.Second), now.Add(2*time.Second)
	c, err := control.NewClient("http://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		setup func(*reporter)
		wait  time.Duration // negative: nothing to send
	}{
		{"nothing new", func(r *reporter) { r.use(c); r.renewed = false }, -1},
		{"nobody to tell", func(r *reporter) { r.offer(reportOf(1, 0), true) }, -1},
		{"progress waits", func(r *reporter) { r.use(c); r.renewed = false; r.offer(reportOf(1, 0), false) }, 5 * time.Second},
		{"a phase waits for a retry only", func(r *reporter) { r.use(c); r.renewed = false; r.offer(reportOf(1, 0), true) }, 2 * time.Second},
		{"urgency outlives newer progress", func(r *reporter) {
			r.use(c)
			r.renewed = false
			r.offer(reportOf(1, 0), true)
			r.offer(reportOf(2, 0), false)
		}, 2 * time.Second},
		{"a new connection ends the pause", func(r *reporter) { r.offer(reportOf(1, 0), true); r.use(c) }, 0},
	}
	for _, test := range tests {
		r := newReporter(quick(), nopLog, func() {}, func() *int64 { return nil })
		test.setup(r)
		_, report, wait := r.due(now, progress, retry)
		if report == nil && test.wait >= 0 || report != nil && max(0, wait) != test.wait {
			t.Errorf("%s: report %v, wait %s, want %s", test.name, report, wait, test.wait)
		}
	}
}

func TestReceiptBoundsThePeriod(t *testing.T) {
	r := newReporter(quick(), nopLog, func() {}, func() *int64 { return nil })
	for millis, want := range map[int64]time.Duration{0: quick().report, -5: quick().report, 250: 250 * time.Millisecond, 1 << 40: maxReportPause} {
		if got := r.period(control.Receipt{NextMillis: millis}); got != want {
			t.Errorf("%d ms became %s, want %s", millis, got, want)
		}
	}
}

func TestManyTailsFitIntoOneReport(t *testing.T) {
	tail := strings.Repeat("<", control.MaxTailLen-3) + "end"
	var jobs []control.JobReport
	for range 2 * control.MaxApps {
		jobs = append(jobs, control.JobReport{Hook: &control.HookResult{Tail: tail}, Check: &control.HookResult{Tail: tail}}, control.JobReport{})
	}
	first := jobs[0].Hook
	trimTails(jobs)
	b, err := json.Marshal(control.Report{Jobs: jobs})
	if err != nil || len(b) > control.MaxBodyLen {
		t.Errorf("report has %d bytes, %v", len(b), err)
	}
	if !strings.HasSuffix(jobs[0].Hook.Tail, "end") {
		t.Error("the end of the output is lost")
	}
	if first.Tail != tail {
		t.Error("the job's own result was changed")
	}
	few := []control.JobReport{{Hook: &control.HookResult{Tail: tail}}}
	if trimTails(few); few[0].Hook.Tail != tail {
		t.Error("a lone tail was cut")
	}
}
