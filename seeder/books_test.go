package seeder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

var t0 = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// desk is the books without a ledger, at a time that the test sets.
type desk struct {
	*books
	t    tb
	path string
	now  time.Time
	sent int64 // by the swarm
	seq  map[string]uint64
}

func newDesk(t tb, path string) *desk {
	d := &desk{t: t, path: path, now: t0, seq: map[string]uint64{}}
	d.reopen()
	t.Cleanup(func() { d.dir.Close() })
	return d
}

// reopen begins a new life of the seeder. Nothing was written down on the way
// out: it was killed.
func (d *desk) reopen() {
	if d.books != nil {
		if err := d.dir.Close(); err != nil {
			d.t.Fatal(err)
		}
	}
	dir, err := store.Open(d.path, zap.NewNop())
	if err != nil {
		d.t.Fatal(err)
	}
	d.sent = 0
	e := &env{dir: dir, log: zap.NewNop(), pace: defaultPace(), epoch: d.now.String(), started: d.now}
	if d.books, err = openBooks(e, func(release.Digest) int64 { return d.sent }); err != nil {
		d.t.Fatal(err)
	}
}

// pass lets time go by, with a tick each second of the first ten and then each
// ten.
func (d *desk) pass(span time.Duration) {
	for end := d.now.Add(span); d.now.Before(end); d.tick(d.now) {
		step := min(10*time.Second, end.Sub(d.now))
		if span <= 10*time.Second {
			step = min(time.Second, step)
		}
		d.now = d.now.Add(step)
	}
}

func (d *desk) join(name string, labels release.Labels) {
	if err := d.hello(name, helloOf(name, labels), d.now); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) leave(name string) {
	if err := d.fleet.goodbye(name, "boot-"+name); err != nil {
		d.t.Fatal(err)
	}
}

// make puts a release into the catalog, with no artifact behind it.
func (d *desk) make(app, version string) {
	sum := release.Digest{1, byte(len(d.catalog.blobs))}
	blob := control.Blob{SHA256: sum, Size: 100, InfoHash: sum, PieceLength: release.MinPieceLength}
	d.catalog.blobs[sum] = &stored{Blob: blob}
	m := blob.Manifest(release.Ref{App: app, Version: version}, uint64(len(d.catalog.releases[app])+1), d.now)
	if _, err := d.catalog.create(control.CreateRelease{Manifest: m}, "ann"); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) start(app, version string, targets ...release.Expr) *deploy {
	made, err := d.deploy(request(app, version, targets...), d.now)
	if err != nil {
		d.t.Fatal(err)
	}
	return made
}

func (d *desk) say(host string, made *deploy, p release.Phase, reason string) {
	d.seq[host]++
	_, err := d.report(control.Report{
		Host: host, Boot: "boot-" + host, Seq: d.seq[host], Jobs: []control.JobReport{jobOf(made.order(d.fleet.hosts[host]), p, reason)},
	}, d.now)
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) shown(id string) control.DeployStatus {
	found, err := d.deploys.find(id)
	if err != nil {
		d.t.Fatal(err)
	}
	s, err := d.deploys.status(found)
	if err != nil {
		d.t.Fatal(err)
	}
	return s
}

func (d *desk) wantPhase(id string, want release.DeployPhase) control.DeployStatus {
	d.t.Helper()
	s := d.shown(id)
	if s.Phase != want {
		d.t.Fatalf("deploy is %s (%s), want %s", s.Phase, s.Reason, want)
	}
	return s
}

func hostRow(s control.DeployStatus, name string) control.HostStatus {
	i := slices.IndexFunc(s.Hosts, func(h control.HostStatus) bool { return h.Name == name })
	if i < 0 {
		return control.HostStatus{}
	}
	return s.Hosts[i]
}

func (d *desk) orderOf(host, app string) string {
	if of := d.fleet.hosts[host].orders[app]; of != nil {
		return of.ID
	}
	return ""
}

func TestDeployEndsWhenAllHostsHave(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", release.Labels{"zone": "z1"})
	d.join("b", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.say("a", made, release.Active, "")
	s := d.wantPhase(made.ID, release.DeployRunning)
	if got := hostRow(s, "a"); got.Phase != release.Active || got.Zone != "z1" {
		t.Errorf("row of a is %+v", got)
	}
	d.say("b", made, release.Active, "")
	if s = d.wantPhase(made.ID, release.DeploySucceeded); s.Finished == nil {
		t.Error("it has ended, and finished is null")
	}
}

func TestFailureIsFinal(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.say("a", made, release.Failed, "hook exited 42")
	d.say("a", made, release.Active, "")
	s := d.wantPhase(made.ID, release.DeployFailed)
	if got := hostRow(s, "a"); got.Phase != release.Failed || got.Reason != "hook exited 42" {
		t.Errorf("row is %s %q", got.Phase, got.Reason)
	}
	again := d.start("web", "1", "name=*")
	d.say("a", again, release.Active, "")
	d.wantPhase(again.ID, release.DeploySucceeded)
}

func TestUnreachableHost(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.join("b", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.say("a", made, release.Fetching, "")
	d.pass(50 * time.Second)
	d.say("b", made, release.Fetching, "") // b is slow but there
	d.pass(20 * time.Second)
	s := d.wantPhase(made.ID, release.DeployRunning)
	if got := hostRow(s, "a"); got.Phase != release.Failed {
		t.Fatalf("a is %s after 70s of silence", got.Phase)
	}
	d.say("a", made, release.Staged, "")
	d.pass(time.Second)
	if got := hostRow(d.shown(made.ID), "a"); got.Phase != release.Staged {
		t.Fatalf("a is back, and still %s: %s", got.Phase, got.Reason)
	}
	d.pass(70 * time.Second)
	d.say("b", made, release.Active, "")
	d.pass(time.Second)
	d.wantPhase(made.ID, release.DeployFailed)
	d.say("a", made, release.Active, "")
	s = d.wantPhase(made.ID, release.DeployFailed)
	if got := hostRow(s, "a"); got.Phase != release.Active || got.Reason == "" {
		t.Errorf("a converged late, and is shown as %s %q", got.Phase, got.Reason)
	}
}

// Anybody with gossip's key can say anything there: it shows at once, and decides
// nothing.
func TestGossipDecidesNothing(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.join("b", nil)
	d.make("web", "1")
	for _, said := range []control.HostState{control.HostLeft, control.HostFailed, control.HostLeft} {
		d.fleet.gossiped("a", said)
		if got := d.fleet.hosts["a"].State; got != control.HostFailed {
			t.Errorf("said to be %s, a is %s", said, got)
		}
	}
	made := d.start("web", "1", "name=*")
	if !made.counts("a") {
		t.Error("a host that never said goodbye is not counted")
	}
	d.say("a", made, release.Active, "")
	if got := d.fleet.hosts["a"].State; got != control.HostAlive {
		t.Errorf("a host that calls is %s", got)
	}
	d.fleet.gossiped("b", control.HostAlive)
	d.pass(50 * time.Second)
	d.wantPhase(made.ID, release.DeployRunning)
	d.fleet.gossiped("b", control.HostAlive)
	d.pass(20 * time.Second)
	d.wantPhase(made.ID, release.DeployFailed)
}

func TestDeadline(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	for minute := range 62 {
		if minute == 59 {
			d.wantPhase(made.ID, release.DeployRunning)
		}
		d.fleet.heard(d.fleet.hosts["a"], d.now)
		d.pass(time.Minute - time.Second)
	}
	d.wantPhase(made.ID, release.DeployFailed)
}

func TestLateHost(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", release.Labels{"role": "web"})
	d.make("web", "1")
	made := d.start("web", "1", "role=web")
	d.say("a", made, release.Active, "")
	d.wantPhase(made.ID, release.DeploySucceeded)
	d.join("late", release.Labels{"role": "web"})
	d.join("other", release.Labels{"role": "db"})
	if d.orderOf("late", "web") != made.ID || d.orderOf("other", "web") != "" {
		t.Fatalf("orders: late %q, other %q", d.orderOf("late", "web"), d.orderOf("other", "web"))
	}
	d.say("late", made, release.Failed, "disk full")
	s := d.wantPhase(made.ID, release.DeploySucceeded)
	if got := hostRow(s, "late"); !got.Late || got.Phase != release.Failed {
		t.Errorf("late host's row is %+v", got)
	}
	d.pass(5 * time.Second)
	d.reopen()
	if got := hostRow(d.shown(made.ID), "late"); !got.Late || got.Phase != release.Failed {
		t.Errorf("after a restart the late host's row is %+v", got)
	}
}

// TestSupersede shows that a deploy ends once a newer one takes a host of its
// own, and not when it takes others.
func TestSupersede(t *testing.T) {
	d := newDesk(t, t.TempDir())
	for _, name := range []string{"a", "b", "c"} {
		d.join(name, nil)
	}
	d.make("web", "1")
	d.make("web", "2")
	d.make("db", "1")
	old := d.start("web", "1", "name=a", "name=b")
	d.start("db", "1", "name=*")
	elsewhere := d.start("web", "2", "name=c")
	d.wantPhase(old.ID, release.DeployRunning)
	next := d.start("web", "2", "name=b")
	s := d.wantPhase(old.ID, release.DeploySuperseded)
	if want := "superseded by " + next.ID + " (web@2)"; s.Reason != want {
		t.Errorf("reason is %q, want %q", s.Reason, want)
	}
	d.wantPhase(elsewhere.ID, release.DeployRunning)
	if d.orderOf("a", "web") != old.ID || d.orderOf("b", "web") != next.ID {
		t.Errorf("orders: a %s, b %s", d.orderOf("a", "web"), d.orderOf("b", "web"))
	}
	d.say("a", old, release.Active, "")
	if got := hostRow(d.wantPhase(old.ID, release.DeploySuperseded), "a"); got.Phase != release.Active {
		t.Errorf("a went on with the old deploy, and is shown as %s", got.Phase)
	}
}

// TestLabelsMoveAHost shows that a deploy whose host comes under a newer one's
// selector does not wait for it for ever.
func TestLabelsMoveAHost(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", release.Labels{"role": "db"})
	d.join("b", release.Labels{"role": "web"})
	d.make("web", "1")
	d.make("web", "2")
	old := d.start("web", "1", "role=db")
	next := d.start("web", "2", "role=web")
	d.wantPhase(old.ID, release.DeployRunning)
	revision := d.fleet.hosts["a"].watch.revision
	d.join("a", release.Labels{"role": "web"})
	d.wantPhase(old.ID, release.DeploySuperseded)
	if d.orderOf("a", "web") != next.ID || d.fleet.hosts["a"].watch.revision == revision {
		t.Error("the host was not given its new order")
	}
}

func TestTargets(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.join("gone", nil)
	d.leave("gone")
	d.join("down", nil)
	d.fleet.gossiped("down", control.HostFailed)
	d.make("web", "1")

	_, err := d.deploy(request("web", "1"), d.now)
	if e := wantCode(t, err, control.CodeUsage); e.Hint != "--target 'name=*' is every host" {
		t.Errorf("hint is %q", e.Hint)
	}
	_, err = d.deploy(request("web", "1", "role=db"), d.now)
	if e := wantCode(t, err, control.CodeNoHost); e.Message != "target role=db matches no host: 3 known" || e.Hint != "crow hosts" {
		t.Errorf("got %q, hint %q", e.Message, e.Hint)
	}
	_, err = d.deploy(request("web", "1", "name=gone"), d.now)
	wantCode(t, err, control.CodeNoHost)
	_, err = d.deploy(request("web", "2", "name=*"), d.now)
	wantCode(t, err, control.CodeNotFound)

	made := d.start("web", "1", "name=*")
	if want := []string{"a", "down"}; !slices.Equal(made.Hosts, want) {
		t.Errorf("hosts are %v, want %v", made.Hosts, want)
	}
	again := d.start("web", "1") // as last time
	if !slices.Equal(again.Hosts, made.Hosts) {
		t.Errorf("without a target hosts are %v, want those of the last deploy %v", again.Hosts, made.Hosts)
	}
}

// TestNameTaken tries who may speak for a host.
func TestNameTaken(t *testing.T) {
	hello := func(boot, address string) control.Hello {
		h := helloOf("a", nil)
		h.Boot, h.Address = boot, address
		return h
	}
	d := newDesk(t, t.TempDir())
	say := func(h control.Hello) error { return d.hello("a", h, d.now) }
	must[any](t)(nil, say(hello("1", "10.0.0.1")))
	must[any](t)(nil, say(hello("1", "10.0.0.1")))              // again
	must[any](t)(nil, say(hello("2", "10.0.0.1")))              // restarted
	wantCode(t, say(hello("1", "10.0.0.1")), control.CodeTaken) // two agents on one host
	wantCode(t, say(hello("3", "10.0.0.2")), control.CodeTaken) // another host
	d.pass(2 * time.Minute)
	must[any](t)(nil, say(hello("3", "10.0.0.2"))) // which replaces the dead one
	_, err := d.report(control.Report{Host: "a", Boot: "2", Seq: 9}, d.now)
	wantCode(t, err, control.CodeUnknown)
}

func TestStaleReportChangesNothing(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.say("a", made, release.Staged, "")
	d.seq["a"] = 0
	d.say("a", made, release.Fetching, "") // sent first, arrived last
	if got := hostRow(d.shown(made.ID), "a").Phase; got != release.Staged {
		t.Errorf("an overtaken report made the host %s", got)
	}
}

// TestReportThatChangesNothingWakesNobody also holds that progress wakes the
// watchers of the deploy, and no host.
func TestReportThatChangesNothingWakesNobody(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.pass(5 * time.Second)
	host, status := d.fleet.hosts["a"].watch.changed, made.watch.changed
	d.say("a", made, release.Fetching, "")
	if !closed(status) || closed(host) {
		t.Fatalf("progress: watchers woken %t, host woken %t", closed(status), closed(host))
	}
	d.pass(5 * time.Second)
	status = made.watch.changed
	d.say("a", made, release.Fetching, "")
	d.pass(5 * time.Second)
	if closed(status) || made.dirty {
		t.Error("a report that says the same woke the watchers, or was written down")
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestSentSurvivesARestart(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	d.sent = 500 // before the deploy, for another
	made := d.start("web", "1", "name=*")
	d.sent += 100
	d.pass(10 * time.Second)
	d.reopen() // the swarm counts from 0 again
	d.sent = 30
	d.fleet.gossiped("a", control.HostAlive)
	d.pass(10 * time.Second)
	d.sent = 5 // dropped and offered again
	d.pass(10 * time.Second)
	d.sent = 15
	d.say("a", made, release.Active, "")
	if s := d.wantPhase(made.ID, release.DeploySucceeded); s.SeederBytesSent != 145 {
		t.Errorf("%d bytes sent, want 145", s.SeederBytesSent)
	}
	d.sent = 1000
	d.pass(10 * time.Second)
	d.reopen()
	if s := d.shown(made.ID); s.SeederBytesSent != 145 {
		t.Errorf("%d bytes sent once it is history, want 145", s.SeederBytesSent)
	}
}

// TestSeederThatWasAwayDoesNotBlameItsHosts holds that the deadline passes over
// a seeder that was down: hosts get the grace to say how they did.
func TestSeederThatWasAwayDoesNotBlameItsHosts(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.now = d.now.Add(3 * time.Hour)
	d.reopen()
	d.pass(30 * time.Second)
	d.wantPhase(made.ID, release.DeployRunning)
	d.say("a", made, release.Active, "")
	d.wantPhase(made.ID, release.DeploySucceeded)
}

func TestHostIsForgotten(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.say("a", made, release.Active, "")
	d.now = d.now.Add(8 * 24 * time.Hour)
	d.pass(5 * time.Second)
	if len(d.fleet.hosts) != 0 || made.orders != 0 || made.rows != nil || len(d.inForce()) != 0 {
		t.Errorf("%d hosts, %d orders, rows in memory %t", len(d.fleet.hosts), made.orders, made.rows != nil)
	}
	if got := hostRow(d.wantPhase(made.ID, release.DeploySucceeded), "a").Phase; got != release.Active {
		t.Errorf("history says %s", got)
	}
}

func TestReportPaceGrowsWithTheFleet(t *testing.T) {
	for hosts, want := range map[int]time.Duration{0: minReport, 1: minReport, 16: minReport, 48: 1500 * time.Millisecond, 160: maxReport, 1000: maxReport, 20_000: maxReport} {
		if got := reportEvery(hosts); got != want {
			t.Errorf("%d hosts: %s, want %s", hosts, got, want)
		}
	}
}

func TestHostStateOutlivesARestart(t *testing.T) {
	d := newDesk(t, t.TempDir())
	for _, name := range []string{"up", "down", "gone"} {
		d.join(name, release.Labels{"n": name})
	}
	d.fleet.gossiped("down", control.HostFailed)
	d.leave("gone")
	d.pass(2 * time.Second)
	d.reopen()
	want := map[string]control.HostState{"up": control.HostAlive, "down": control.HostFailed, "gone": control.HostLeft}
	for name, state := range want {
		if h := d.fleet.hosts[name]; h == nil || h.State != state || h.Labels["n"] != name {
			t.Errorf("%s is %+v, want %s", name, h, state)
		}
	}
	if _, err := d.report(control.Report{Host: "up", Boot: "boot-up", Seq: 1}, d.now); err != nil {
		t.Errorf("a known host has to say hello again: %v", err)
	}
	d.pass(2 * time.Minute)
	if got := d.fleet.hosts["up"].State; got != control.HostFailed {
		t.Errorf("after two silent minutes it is %s", got)
	}
}

func TestCounterGrowsPerApp(t *testing.T) {
	d := newDesk(t, t.TempDir())
	for i := range 3 {
		d.make("web", fmt.Sprint(i))
	}
	d.make("db", "0")
	d.reopen()
	list := d.catalog.list("web")
	if len(list) != 3 || list[0].Counter != 3 || list[2].Counter != 1 || len(d.catalog.list("")) != 4 || len(d.catalog.list("x")) != 0 {
		t.Errorf("list is %+v", list)
	}
}

// TestQuietFleetIsNotForgotten kills the seeder of a fleet that gave the registry
// nothing to write for more than a week.
func TestQuietFleetIsNotForgotten(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.pass(5 * time.Second)
	d.now = d.now.Add(d.pace.forget + 24*time.Hour)
	d.reopen()
	d.pass(2 * d.pace.grace)
	if h := d.fleet.hosts["a"]; h == nil || h.State != control.HostFailed {
		t.Fatalf("after two minutes without a word: %+v", h)
	}
	d.now = d.now.Add(d.pace.forget)
	d.tick(d.now)
	if len(d.fleet.hosts) > 0 {
		t.Error("a host is never forgotten")
	}
}

// obstruct puts a file where the store keeps a kind of documents.
func (d *desk) obstruct(kind string) {
	folder := filepath.Join(d.path, "docs", kind)
	if err := errors.Join(os.RemoveAll(folder), os.WriteFile(folder, nil, 0o600)); err != nil {
		d.t.Fatal(err)
	}
}

// TestDeployBeginsWithoutReading holds that a deploy whose plan is on disk is in
// force, also when the disk gives nothing back.
func TestDeployBeginsWithoutReading(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	d.obstruct(kindResult)
	made := d.start("web", "1", "name=*")
	if d.orderOf("a", "web") != made.ID {
		t.Error("the host has no order")
	}
}

func TestCloseNamesWhatIsNotSaved(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	d.obstruct(kindResult)
	if err := d.close(d.now); err == nil || !strings.Contains(err.Error(), made.ID) || strings.Contains(err.Error(), "registry") {
		t.Errorf("without a result on disk: error %v", err)
	}
	d.obstruct(kindFleet)
	if err := d.close(d.now); err == nil || !strings.Contains(err.Error(), "registry") {
		t.Errorf("without the registry on disk: error %v", err)
	}
}
