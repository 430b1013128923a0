package rollout

import (
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

// TestMerge tries every pair of phases: an end stays, all else follows the host.
func TestMerge(t *testing.T) {
	for from := release.Pending; from <= release.Failed; from++ {
		for to := release.Pending; to <= release.Failed; to++ {
			got := Merge(Row{HostStatus: control.HostStatus{Name: "a", Phase: from}}, control.JobReport{Phase: to}, t0).Phase
			want := to
			if from.Ended() {
				want = from
			}
			if got != want {
				t.Errorf("%s, then a report of %s: got %s, want %s", from, to, got, want)
			}
		}
	}
}

func TestSameRow(t *testing.T) {
	base := Row{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}}}
	same := Row{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}}}
	if !SameRow(base, same) {
		t.Error("equal rows with hooks of their own differ")
	}
	for i, other := range []Row{
		{HostStatus: control.HostStatus{Name: "a"}},
		{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 2}}},
		{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}, Bytes: release.Bytes{Peer: 1}}},
		{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}}, Verdict: "x"},
		{HostStatus: control.HostStatus{Name: "a", Hook: &control.HookResult{Exit: 1}, Check: &control.HookResult{}}},
	} {
		if SameRow(base, other) || SameRow(other, base) {
			t.Errorf("row %d is taken for the same", i)
		}
	}
}

func TestShown(t *testing.T) {
	for _, test := range []struct {
		phase   release.Phase
		verdict string
		want    release.Phase
		reason  string
	}{
		{release.Fetching, "", release.Fetching, "said"},
		{release.Fetching, "silent", release.Failed, "silent"},
		{release.Failed, "silent", release.Failed, "said"},
		{release.Active, "silent", release.Active, "active only after the deploy had ended; before: silent"},
		{release.Active, "", release.Active, "said"},
	} {
		s := Row{HostStatus: control.HostStatus{Phase: test.phase, Reason: "said"}, Verdict: test.verdict}.Shown()
		if s.Phase != test.want || s.Reason != test.reason {
			t.Errorf("%s with verdict %q shows as %s %q, want %s %q", test.phase, test.verdict, s.Phase, s.Reason, test.want, test.reason)
		}
	}
}

func TestAnEarlierAttemptsWordSaysNothing(t *testing.T) {
	r := Row{HostStatus: control.HostStatus{Name: "a", Zone: "z", Phase: release.Failed, Reason: "x"}, Live: true, Begun: true}
	r = r.Again(true)
	if r.Attempt != 1 || r.Phase != release.Pending || r.Reason != "" || r.Zone != "z" || !r.Live || r.Begun || !r.Retry {
		t.Errorf("to try again: %+v", r)
	}
	if got := Merge(r, control.JobReport{Phase: release.Failed, Reason: "x"}, t0); got.Phase != release.Pending {
		t.Errorf("the first attempt's failure, told again, makes it %s", got.Phase)
	}
	if got := Merge(r, control.JobReport{Phase: release.Active, Attempt: 1}, t0); got.Phase != release.Active {
		t.Errorf("the second attempt's success makes it %s", got.Phase)
	}
	// Who only fell silent goes on with what it is at.
	silent := Row{HostStatus: control.HostStatus{Phase: release.Fetching}, Verdict: "unreachable"}.Again(false)
	if silent.Attempt != 0 || silent.Phase != release.Fetching || silent.Verdict != "" {
		t.Errorf("a silent host: %+v", silent)
	}
}

// TestBytesOfEarlierAttempts holds that trying again forgets no byte that moved.
func TestBytesOfEarlierAttempts(t *testing.T) {
	r := Row{HostStatus: control.HostStatus{Name: "a"}}
	for attempt := range 3 {
		moved := release.Bytes{Local: 100}
		if attempt == 0 {
			moved = release.Bytes{Peer: 60, Seeder: 40}
		}
		r = Merge(r, control.JobReport{Phase: release.Failed, Attempt: attempt, Bytes: moved}, t0)
		if want := (release.Bytes{Peer: 60, Seeder: 40}); r.Bytes != moved || r.AllBytes() != want {
			t.Errorf("attempt %d: %+v and in all %+v", attempt, r.Bytes, r.AllBytes())
		}
		r = r.Again(false)
	}
}
