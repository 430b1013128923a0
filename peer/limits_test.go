package peer

import (
	"encoding/json"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

func rate(n int64) *int64 { return &n }

// wantLimits waits until the swarm is told to keep to limits.
func (a *agentUnderTest) wantLimits(t *testing.T, upload, download release.Rate) {
	t.Helper()
	eventually(t, "limits of "+upload.String()+" and "+download.String(), func() bool {
		a.copier.mu.Lock()
		defer a.copier.mu.Unlock()
		return a.copier.limits == Limits{upload, download}
	})
}

// wantLimits waits until a host has said what is in effect.
func (o *office) wantLimits(t *testing.T, wanted control.WantedLimits, config Limits) {
	t.Helper()
	want := wanted.Over(config.Upload, config.Download)
	o.until(t, "report of limits", func() bool {
		in := o.newest["web-1"].Limits
		return in != nil && in.Upload == want.Upload && *in.Download == *want.Download
	})
}

// TestLimitsFollowOrders changes limits while the agent runs, and takes them
// back to its config.
func TestLimitsFollowOrders(t *testing.T) {
	r := newRig(t)
	r.cfg.Limits = Limits{Upload: 100_000, Download: 200_000}
	a := r.start()
	for _, w := range []control.WantedLimits{
		{}, {Upload: rate(5)}, {Upload: rate(0), Download: rate(7)}, {Upload: rate(0), Download: rate(7)}, {Download: rate(100)}, {},
	} {
		r.office.limit(&w)
		want := inEffect(r.cfg.Limits, func() *control.Limits { l := w.Over(100_000, 200_000); return &l }())
		a.wantLimits(t, want.Upload, want.Download)
		r.office.wantLimits(t, w, r.cfg.Limits)
	}
}

// TestLimitsHoldWithoutASeeder restarts the agent while no seeder answers, with
// another config too. Then comes a seeder that wants nothing any more.
func TestLimitsHoldWithoutASeeder(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.cfg.Limits = Limits{Upload: 100_000, Download: 200_000}
	r.office.limit(&control.WantedLimits{})
	a := r.start()
	r.office.wantLimits(t, control.WantedLimits{}, r.cfg.Limits) // orders are written down without a limit
	wanted := control.WantedLimits{Upload: rate(5)}
	r.office.limit(&wanted)
	r.office.wantLimits(t, wanted, r.cfg.Limits)
	a.stop(t)
	r.office.kill()
	r.cfg.Limits = Limits{Upload: 300_000, Download: 400_000}
	a = r.start()
	a.wantLimits(t, 5, 400_000)

	r.office.limit(&control.WantedLimits{})
	r.office.start(t)
	a.wantLimits(t, 300_000, 400_000)
	r.office.wantLimits(t, control.WantedLimits{}, r.cfg.Limits)
}

// TestOlderSeederHearsNothingOfLimits has a seeder that refuses reports with a
// field that it does not know.
func TestOlderSeederHearsNothingOfLimits(t *testing.T) {
	r := newRig(t)
	r.cfg.Limits = Limits{Upload: 100_000}
	g := r.goods("build")
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	var in *control.Limits
	r.office.until(t, "report", func() bool { in = r.office.newest["web-1"].Limits; return r.office.newest["web-1"].Seq > 0 })
	if in != nil {
		t.Errorf("the report has limits %+v", in)
	}
	a.wantLimits(t, 100_000, 0)
}

// TestStateWithoutLimits starts on what an earlier crow wrote.
func TestStateWithoutLimits(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.cfg.Limits = Limits{Upload: 100_000}
	a := r.start()
	if err := a.store.PutDoc(kindOrders, ordersName, []byte(`{"epoch":"e","revision":3,"orders":null,"trackers":["http://a/announce"]}`)); err != nil {
		t.Fatal(err)
	}
	a.stop(t)
	r.office.kill()
	a = r.start()
	a.wantLimits(t, 100_000, 0)
	eventually(t, "the trackers of that document", func() bool {
		a.copier.mu.Lock()
		defer a.copier.mu.Unlock()
		return len(a.copier.trackers) == 1
	})
}

func TestSaneLimits(t *testing.T) {
	for doc, want := range map[string]*control.WantedLimits{
		`{}`:                                    nil,
		`{"limits":{}}`:                         {},
		`{"limits":{"upload":0}}`:               {Upload: rate(0)},
		`{"limits":{"upload":1,"download":2}}`:  {Upload: rate(1), Download: rate(2)},
		`{"limits":{"upload":1,"download":-2}}`: {},
	} {
		var o control.Orders
		if err := json.Unmarshal([]byte(doc), &o); err != nil {
			t.Fatal(err)
		}
		got := sane(o, nopLog).Limits
		if (got == nil) != (want == nil) || got != nil && !got.Equal(*want) {
			t.Errorf("%s: got %+v", doc, got)
		}
	}
}
