package seeder

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func rate(n int64) *int64 { return &n }

func limitsFor(change control.ChangeLimits, targets ...release.Expr) control.ChangeHostLimits {
	return control.ChangeHostLimits{Selector: release.Selector{Targets: targets}, ChangeLimits: change}
}

func (d *desk) limit(change control.ChangeLimits, targets ...release.Expr) []control.Host {
	hosts, err := d.changeLimits(limitsFor(change, targets...), d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	return hosts
}

func (d *desk) wantLimits(host string, want control.WantedLimits) {
	d.t.Helper()
	if got := d.fleet.hosts[host].Wanted; !got.Equal(want) {
		d.t.Fatalf("wanted of %s: %+v, want %+v", host, got, want)
	}
}

// TestLimitsOutliveAKill orders limits for a host that has left, and kills the
// seeder at once.
func TestLimitsOutliveAKill(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", release.Labels{"role": "web"})
	d.join("b", release.Labels{"role": "db"})
	d.leave("a")
	if hosts := d.limit(control.ChangeLimits{Upload: rate(5)}, "role=web"); len(hosts) != 1 || hosts[0].Name != "a" || hosts[0].State != control.HostLeft {
		t.Errorf("it is for %+v", hosts)
	}
	d.reopen()
	d.wantLimits("a", control.WantedLimits{Upload: rate(5)})
	d.wantLimits("b", control.WantedLimits{})
	d.limit(control.ChangeLimits{Download: rate(0)}, "name=*")
	d.reopen()
	d.wantLimits("a", control.WantedLimits{Upload: rate(5), Download: rate(0)})
	d.limit(control.ChangeLimits{Reset: true}, "name=a")
	d.reopen()
	d.wantLimits("a", control.WantedLimits{})
	d.wantLimits("b", control.WantedLimits{Download: rate(0)})
}

// TestRegistryWithoutLimits reads what an earlier crow wrote.
func TestRegistryWithoutLimits(t *testing.T) {
	d := newDesk(t, t.TempDir())
	old := `[{"name":"a","address":"127.0.0.1","state":"alive","labels":{},"apps":["*"],"running":{},"last_seen":"2026-11-22T12:00:00Z","crow":"v1","boot":"boot-a"}]`
	if err := d.dir.PutDoc(kindFleet, kindFleet, []byte(old)); err != nil {
		t.Fatal(err)
	}
	d.reopen()
	d.wantLimits("a", control.WantedLimits{})
	if h := d.fleet.hosts["a"]; h.Limits != nil || h.boot != "boot-a" {
		t.Errorf("host is %+v", h)
	}
}

func TestLimitsWakeWhoTheyChange(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.join("b", nil)
	d.limit(control.ChangeLimits{Upload: rate(5)}, "name=a")
	revisions := func() [2]uint64 {
		return [2]uint64{d.fleet.hosts["a"].watch.revision, d.fleet.hosts["b"].watch.revision}
	}
	before := revisions()
	d.limit(control.ChangeLimits{Upload: rate(5)}, "name=a") // the same again
	d.limit(control.ChangeLimits{Reset: true}, "name=b")     // nothing to reset
	if got := revisions(); got != before {
		t.Errorf("nothing changed, and revisions went from %v to %v", before, got)
	}
	d.limit(control.ChangeLimits{Upload: rate(5)}, "name=*")
	if got := revisions(); got != [2]uint64{before[0], before[1] + 1} {
		t.Errorf("b changed, and revisions went from %v to %v", before, got)
	}
}

func TestWhoseLimits(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", release.Labels{"role": "web"})
	up := control.ChangeLimits{Upload: rate(5)}
	for _, c := range []struct {
		selector release.Selector
		want     control.Code
	}{
		{release.Selector{}, control.CodeUsage},
		{release.Selector{Excludes: []release.Expr{"role=db"}}, control.CodeUsage},
		{release.Selector{Targets: []release.Expr{"role=db"}}, control.CodeNoHost},
		{release.Selector{Targets: []release.Expr{"role=web", "name=gone"}}, control.CodeNoHost},
		{release.Selector{Targets: []release.Expr{"role=web"}, Excludes: []release.Expr{"name=a"}}, control.CodeNoHost},
	} {
		_, err := d.changeLimits(control.ChangeHostLimits{Selector: c.selector, ChangeLimits: up}, d.now)
		wantCode(t, err, c.want)
	}
	d.wantLimits("a", control.WantedLimits{})
}

// TestLimitsThatAreNotOnDiskDoNotHold has the disk fail: nobody is told, and the
// same again is written once it can be.
func TestLimitsThatAreNotOnDiskDoNotHold(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.limit(control.ChangeLimits{Upload: rate(5)}, "name=a")
	before := d.fleet.hosts["a"].watch.revision
	d.obstruct(kindFleet)
	if _, err := d.changeLimits(limitsFor(control.ChangeLimits{Upload: rate(7)}, "name=a"), d.now); err == nil {
		t.Fatal("no error")
	}
	d.wantLimits("a", control.WantedLimits{Upload: rate(5)})
	if got := d.fleet.hosts["a"].watch.revision; got != before {
		t.Error("the host was told")
	}
	if _, err := d.changeLimits(limitsFor(control.ChangeLimits{Upload: rate(5)}, "name=a"), d.now); err == nil {
		t.Error("nobody knows what the disk has, and it is acknowledged")
	}

	d.obstruct(kindLimits)
	if _, err := d.uplink.change(control.ChangeLimits{Upload: rate(7)}); err == nil || !d.uplink.wanted.IsZero() {
		t.Errorf("the seeder's own: error %v, wanted %+v", err, d.uplink.wanted)
	}
}

// TestHostSaysItsLimits keeps to what the host said last, for as long as it is
// that agent's word.
func TestHostSaysItsLimits(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.limit(control.ChangeLimits{Upload: rate(5)}, "name=a")
	says := func(in *control.Limits) {
		t.Helper()
		d.seq["a"]++
		if _, err := d.report(control.Report{Host: "a", Boot: "boot-a", Seq: d.seq["a"], Limits: in}, d.now); err != nil {
			t.Fatal(err)
		}
	}
	pending := func() bool { return !d.fleet.hosts["a"].Wanted.Confirmed(d.fleet.hosts["a"].Limits) }
	old, now := control.WantedLimits{}.Over(10, 20), control.WantedLimits{Upload: rate(5)}.Over(10, 20)
	says(&old)
	if !pending() {
		t.Error("the host has not confirmed yet")
	}
	says(&now)
	if pending() {
		t.Error("the host has confirmed")
	}
	d.pass(2 * time.Second) // what was said is saved
	d.reopen()
	if pending() {
		t.Error("a restart forgot it")
	}
	hello := helloOf("a", nil)
	hello.Boot = "another"
	if err := d.hello("a", hello, d.now); err != nil {
		t.Fatal(err)
	}
	if !pending() || d.fleet.hosts["a"].Limits != nil {
		t.Error("an agent that has not spoken yet has the word of the one before it")
	}
}

func TestForgottenHostTakesItsLimitsWithIt(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.limit(control.ChangeLimits{Upload: rate(5)}, "name=a")
	d.now = d.now.Add(8 * 24 * time.Hour)
	d.pass(5 * time.Second)
	d.join("a", nil)
	d.wantLimits("a", control.WantedLimits{})
}

// TestSeederLimits changes the seeder's own limit through restarts with other
// configs.
func TestSeederLimits(t *testing.T) {
	d := newDesk(t, t.TempDir())
	var applied release.Rate
	begin := func(config release.Rate) {
		d.reopen()
		d.uplink.use(config, func(upload, _ release.Rate) { applied = upload })
	}
	want := func(rate int64, from control.LimitSource) {
		t.Helper()
		if got := d.uplink.limits(); got.Upload != (control.Limit{Rate: rate, From: from}) || got.Download != nil || int64(applied) != rate {
			t.Errorf("limits are %+v, applied %d; want %d from the %s", got, applied, rate, from)
		}
	}
	change := func(c control.ChangeLimits) {
		t.Helper()
		if _, err := d.uplink.change(c); err != nil {
			t.Error(err)
		}
	}
	begin(100)
	want(100, control.LimitConfig)
	change(control.ChangeLimits{Upload: rate(5)})
	want(5, control.LimitOrder)
	begin(200)
	want(5, control.LimitOrder)
	change(control.ChangeLimits{Upload: rate(0)})
	want(0, control.LimitOrder)
	change(control.ChangeLimits{Reset: true})
	want(200, control.LimitConfig)
	begin(300)
	want(300, control.LimitConfig)
	_, err := d.uplink.change(control.ChangeLimits{Download: rate(5)})
	wantCode(t, err, control.CodeUsage)
}

func TestDamagedSeederLimitsStopTheStart(t *testing.T) {
	d := newDesk(t, t.TempDir())
	path := filepath.Join(d.path, "docs", kindLimits)
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{`{"upload":-5}`, `{`} {
		if err := os.WriteFile(filepath.Join(path, uplinkName), []byte(doc), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openBooks(d.env, func(release.Digest) int64 { return 0 }); err == nil {
			t.Errorf("%s: no error", doc)
		}
	}
}

// TestLimitsOverTheAPI orders limits while the host waits in a poll, and has it
// confirm them.
func TestLimitsOverTheAPI(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	a := r.agent("a", release.Labels{"role": "web"})
	o := must[control.Orders](t)(r.client.Orders(t.Context(), "a", "", 0, 0))
	if o.Limits == nil || !o.Limits.IsZero() {
		t.Fatalf("limits at first: %+v", o.Limits)
	}
	polled := make(chan control.Orders, 1)
	go func() {
		next, err := r.newClient().Orders(t.Context(), "a", o.Epoch, o.Revision, time.Minute)
		if err != nil {
			t.Error(err)
		}
		polled <- next
	}()
	hosts := must[[]control.Host](t)(r.client.ChangeHostLimits(t.Context(), limitsFor(control.ChangeLimits{Upload: rate(50 << 20)}, "role=web")))
	if len(hosts) != 1 || hosts[0].Limits != nil || !hosts[0].Wanted.Equal(control.WantedLimits{Upload: rate(50 << 20)}) {
		t.Errorf("hosts are %+v", hosts)
	}
	next := <-polled
	if next.Revision <= o.Revision || next.Limits == nil || !next.Limits.Equal(hosts[0].Wanted) {
		t.Errorf("orders are %+v", next)
	}
	in := next.Limits.Over(0, 7)
	must[control.Receipt](t)(r.client.Report(t.Context(), control.Report{Host: "a", Boot: a.hi.Boot, Seq: 1, Limits: &in}))
	hosts = must[[]control.Host](t)(r.client.Hosts(t.Context(), nil))
	if len(hosts) != 1 || !hosts[0].Wanted.Confirmed(hosts[0].Limits) || hosts[0].Limits.Download.Rate != 7 {
		t.Errorf("hosts are %+v", hosts)
	}

	_, err := r.client.ChangeHostLimits(t.Context(), limitsFor(control.ChangeLimits{Reset: true}, "role=db"))
	wantCode(t, err, control.CodeNoHost)
	own := must[control.Limits](t)(r.client.ChangeSeederLimits(t.Context(), control.ChangeLimits{Upload: rate(9)}))
	if got := must[control.Limits](t)(r.client.SeederLimits(t.Context())); got != own || got.Upload != (control.Limit{Rate: 9, From: control.LimitOrder}) {
		t.Errorf("the seeder's limits are %+v, then %+v", own, got)
	}
}

// TestPollHearsOfLimitsAtOnce holds, on a clock that only waiting moves, that a
// host in a long poll does not wait for its end.
func TestPollHearsOfLimitsAtOnce(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, dir)
		d.now = time.Now()
		d.join("a", nil)
		l := newLedger(d.books)
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { ended <- l.run(ctx) }()
		look := func(b *books, _ time.Time) (seen[control.WantedLimits], error) {
			h := b.fleet.hosts["a"]
			return seen[control.WantedLimits]{value: h.Wanted, revision: h.watch.revision, changed: h.watch.changed}, nil
		}
		began := time.Now()
		after := d.fleet.hosts["a"].watch.revision
		time.AfterFunc(3*time.Second, func() {
			err := tell(ctx, l, func(b *books, now time.Time) error {
				_, err := b.changeLimits(limitsFor(control.ChangeLimits{Download: rate(0)}, "name=a"), now)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
		got, err := follow(ctx, l, after, time.Minute, look)
		if took := time.Since(began); err != nil || !got.Equal(control.WantedLimits{Download: rate(0)}) || took != 3*time.Second {
			t.Errorf("after %s: %+v, %v", took, got, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
