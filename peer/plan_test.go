package peer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func TestDecide(t *testing.T) {
	g := makeGoods(t, []byte("x"), release.FormatFile)
	live := placed{Version: "1", SHA256: g.manifest.SHA256, InfoHash: g.manifest.InfoHash, Size: g.manifest.Size}
	early := placed{Version: "1", SHA256: g.manifest.SHA256} // of an earlier crow
	past := func(p release.Phase) map[string]result {
		return map[string]result{"d-1": {Report: control.JobReport{Deploy: "d-1", Version: "1", Phase: p}, At: time.Unix(1, 0)}}
	}
	staged := map[string]placed{"1": live}
	again := func(o control.Order) control.Order {
		o.Attempt = 2
		return o
	}
	tried := past(release.Failed)
	tried["d-1"] = result{Report: control.JobReport{Deploy: "d-1", Version: "1", Phase: release.Failed, Attempt: 2}, At: time.Unix(1, 0)}
	order := g.order("d-1", "web", "1")
	swapped, longer := order, order
	swapped.Manifest.InfoHash[0]++
	longer.Manifest.Size++
	tests := []struct {
		name      string
		order     control.Order
		rec       record
		want      plan
		phase     release.Phase
		unchanged bool
	}{
		{"nothing is known", order, record{}, planRun, release.Pending, false},
		{"failed before", order, record{Results: past(release.Failed)}, planSettled, release.Failed, false},
		{"failed before, and live by another deploy", order, record{Good: &live, current: "1", Results: past(release.Failed)}, planSettled, release.Failed, false},
		{"live by this deploy", order, record{Good: &live, current: "1", Results: past(release.Active)}, planSettled, release.Active, false},
		{"live by another deploy", order, record{Good: &live, current: "1"}, planKeep, release.Active, true},
		{"live, to be fetched", fetchOnly(order), record{Good: &live, current: "1"}, planKeep, release.Active, true},
		{"was live, and is no more", order, record{Good: &live, current: "2", Results: past(release.Active)}, planRun, release.Pending, false},
		{"live, but an activation was cut short", order, record{Good: &live, current: "1", Activating: &intent{}}, planRun, release.Pending, false},
		{"live with other content", order, record{Good: &placed{Version: "1"}, current: "1"}, planRun, release.Pending, false},
		{"live with another infohash", swapped, record{Good: &live, current: "1"}, planRun, release.Pending, false},
		{"live by this deploy with another infohash", swapped, record{Good: &live, current: "1", Results: past(release.Active)}, planRun, release.Pending, false},
		{"live with another size", longer, record{Good: &live, current: "1"}, planRun, release.Pending, false},
		{"live since an earlier crow", order, record{Good: &early, current: "1"}, planKeep, release.Active, true},
		{"fetched before with another infohash", fetchOnly(swapped), record{Staged: staged, Results: past(release.Staged)}, planRun, release.Pending, false},
		{"fetched before", fetchOnly(order), record{Staged: staged, Results: past(release.Staged)}, planSettled, release.Staged, false},
		{"fetched before, now to be activated", order, record{Staged: staged, Results: past(release.Staged)}, planRun, release.Staged, false},
		{"failed before an earlier crow knew of attempts, to be tried again", again(order), record{Results: past(release.Failed)}, planRun, release.Pending, false},
		{"failed in the attempt", again(order), record{Results: tried}, planSettled, release.Failed, false},
		{"failed in a later attempt", order, record{Results: tried}, planSettled, release.Failed, false},
		{"failed, live by another deploy, to be tried again", again(order), record{Good: &live, current: "1", Results: past(release.Failed)}, planKeep, release.Active, true},
		{"live by an earlier attempt", again(order), record{Good: &live, current: "1", Results: past(release.Active)}, planSettled, release.Active, false},
		{"fetched in an earlier attempt", again(order), record{Staged: staged, Results: past(release.Staged)}, planRun, release.Staged, false},
		{"an activation was cut short, and the deploy is paused", fetchOnly(order),
			record{Staged: staged, current: "1", Activating: &intent{"d-1", "1"}, Results: past(release.Staged)}, planRun, release.Staged, false},
		{"an activation of another deploy was cut short", fetchOnly(order),
			record{Staged: staged, current: "1", Activating: &intent{"d-0", "1"}, Results: past(release.Staged)}, planSettled, release.Staged, false},
		{"fetched before, and removed since", fetchOnly(order), record{Results: past(release.Staged)}, planRun, release.Pending, false},
	}
	for _, test := range tests {
		p, report := decide(test.order, test.rec)
		if p != test.want || report.Phase != test.phase || report.Unchanged != test.unchanged || report.Deploy != "d-1" {
			t.Errorf("%s: plan %d with %+v", test.name, p, report)
		}
		if report.Attempt != max(test.order.Attempt, test.rec.Results["d-1"].Report.Attempt) {
			t.Errorf("%s: attempt %d", test.name, report.Attempt)
		}
	}
}

func TestSurplus(t *testing.T) {
	at := func(version string, sec int64) placed { return placed{Version: version, Used: time.Unix(sec, 0)} }
	rec := func(current, good, previous string, staged ...placed) (r record) {
		r.current = current
		if good != "" {
			r.Good = &placed{Version: good}
		}
		if previous != "" {
			r.Previous = &placed{Version: previous}
		}
		for _, p := range staged {
			r.stage(p)
		}
		return r
	}
	five := []placed{at("1", 1), at("2", 2), at("3", 3), at("4", 4), at("5", 5)}
	tests := []struct {
		name   string
		rec    record
		keep   int
		wanted string
		want   []string
	}{
		{"the oldest go", rec("5", "5", "4", five...), 3, "5", []string{"2", "1"}},
		{"all fit", rec("5", "5", "4", five...), 5, "5", nil},
		{"live and previous stay whatever keep says", rec("5", "5", "1", five...), 1, "5", []string{"4", "3", "2"}},
		{"live stays though its hook failed", rec("1", "3", "2", five...), 1, "1", []string{"5", "4"}},
		{"what is ordered stays", rec("", "", "", five...), 1, "1", []string{"5", "4", "3", "2"}},
		{"nothing is staged", rec("", "", ""), 1, "1", nil},
	}
	for _, test := range tests {
		if got := test.rec.surplus(test.keep, test.wanted); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestRecordRemembersPrevious(t *testing.T) {
	var r record
	for _, step := range []struct{ version, before string }{{"1", ""}, {"2", "1"}, {"2", "1"}, {"1", "2"}, {"3", "1"}} {
		if got := r.before(step.version).Version; got != step.before {
			t.Errorf("before %s was %q, want %q", step.version, got, step.before)
		}
		r.succeed(placed{Version: step.version})
	}
}

func TestResultsAreBounded(t *testing.T) {
	var r record
	for i := range 3 * maxResults {
		r.conclude(control.JobReport{Deploy: fmt.Sprint("d-", i)}, time.Unix(int64(i), 0))
	}
	if _, ok := r.Results[fmt.Sprint("d-", 3*maxResults-1)]; len(r.Results) != maxResults || !ok {
		t.Errorf("%d results are left, the newest among them: %v", len(r.Results), ok)
	}
	if got, _ := r.newestResult(fmt.Sprint("d-", 3*maxResults-1)); got.Deploy != fmt.Sprint("d-", 3*maxResults-2) {
		t.Errorf("newest result but one is %q", got.Deploy)
	}
}

func TestShorten(t *testing.T) {
	for _, test := range []struct{ in, want string }{{"short", "short"}, {"a long one", "a lon"}, {"aaaaé", "aaaa"}, {"a\xff", "a"}} {
		if got := shorten(test.in, 5); got != test.want {
			t.Errorf("%q became %q, want %q", test.in, got, test.want)
		}
	}
}
