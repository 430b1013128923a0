package seeder

import (
	"slices"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestTheSameDeployTwice has a job ask again for what is under way: it gets the
// deploy that runs, and a new one only for something else, or after its end.
func TestTheSameDeployTwice(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", release.Labels{"role": "web"})
	d.join("b", nil)
	d.make("web", "1")
	d.make("web", "2")
	first := d.start("web", "1", "role=web")
	if again := d.start("web", "1", "role=web"); again != first {
		t.Errorf("got %s, want %s", again.ID, first.ID)
	}
	if other := d.start("web", "1", "name=a"); other == first {
		t.Error("another target is another deploy")
	}
	second := d.start("web", "2", "role=web")
	if second == first {
		t.Error("another version is another deploy")
	}
	d.say("a", second, release.Active, "")
	if after := d.start("web", "2", "role=web"); after == second {
		t.Error("after its end it is another deploy")
	}
}

// TestTargetsOfTheLastDeploy are taken without what it left out: that was for
// once.
func TestTargetsOfTheLastDeploy(t *testing.T) {
	d := newDesk(t, t.TempDir())
	for _, name := range []string{"a", "b", "c"} {
		d.join(name, release.Labels{"role": "web"})
	}
	d.make("web", "1")
	req := request("web", "1", "role=web")
	req.Excludes = []release.Expr{"name=a"}
	if _, err := d.deploy(req, d.now); err != nil {
		t.Fatal(err)
	}
	req = request("web", "1")
	req.Excludes = []release.Expr{"name=b"}
	made, err := d.deploy(req, d.now)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"a", "c"}; !slices.Equal(made.Hosts, want) {
		t.Errorf("hosts %v, want %v", made.Hosts, want)
	}
}

func TestEachTargetMatchesSomebody(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	_, err := d.deploy(request("web", "1", "name=a", "name=h99"), d.now)
	wantCode(t, err, control.CodeNoHost)
	if want := "target name=h99 matches no host: 1 known"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

// TestDeadHostsAreNotWaitedForAgain: the first deploy gives a silent host its
// minute, the next one a moment.
func TestDeadHostsAreNotWaitedForAgain(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	d.make("web", "2")
	d.pass(2 * time.Minute)
	made := d.start("web", "1", "name=a")
	d.pass(4 * time.Second)
	d.wantPhase(made.ID, release.DeployRunning)
	d.pass(4 * time.Second)
	d.wantPhase(made.ID, release.DeployFailed)
}

// TestSentSurvivesAKill: the seconds that a killed seeder did not write down are
// known to its hosts.
func TestSentSurvivesAKill(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	made := d.start("web", "1", "name=a")
	d.sent = 90
	d.reopen()
	d.join("a", nil)
	found, err := d.deploys.find(made.ID)
	if err != nil {
		t.Fatal(err)
	}
	j := jobOf(found.order(d.fleet.hosts["a"]), release.Fetching, "")
	j.Bytes.Seeder = 80
	if _, err := d.report(control.Report{Host: "a", Boot: "boot-a", Seq: 9, Jobs: []control.JobReport{j}}, d.now); err != nil {
		t.Fatal(err)
	}
	if got := d.shown(made.ID).SeederBytesSent; got != 80 {
		t.Errorf("%d bytes sent, want 80", got)
	}
}

// TestOlderThanWhatIsStaged: a host that has only fetched a newer release has accepted
// that, and would refuse the older one, unless it runs it.
func TestOlderThanWhatIsStaged(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.join("a", nil)
	for _, version := range []string{"1", "2", "3"} {
		d.make("web", version)
	}
	h := d.fleet.hosts["a"]
	h.Running, h.staged = map[string]string{"web": "1"}, map[string][]string{"web": {"1", "2", "3"}}
	_, err := d.deploy(request("web", "2", "name=*"), d.now)
	wantCode(t, err, control.CodeRefused)
	if hint := err.(*control.Error).Hint; hint != "crow rollback web --to 2" {
		t.Error(hint)
	}
	p, err := d.preview(control.PlanDeploy{CreateDeploy: request("web", "2", "name=*")}, d.now)
	if err != nil || p.Hosts[0].Refuses == "" {
		t.Errorf("the plan does not tell: %+v, %v", p.Hosts, err)
	}
	d.start("web", "1", "name=*")
	d.start("web", "3", "name=*")
	back := request("web", "2", "name=*")
	back.Rollback = &control.Rollback{Statement: release.RollbackTo(d.catalog.find(back.Ref).Manifest, 3, d.now, time.Time{})}
	made, err := d.deploy(back, d.now)
	if err != nil || !d.shown(made.ID).Rollback {
		t.Errorf("with a statement: %v", err)
	}
}

// TestPlanOfWhatDoesNotExist is that of any deploy: hosts in their waves, and all bytes
// to each that would take them.
func TestPlanOfWhatDoesNotExist(t *testing.T) {
	d := fleetOf(t, 4)
	req := control.PlanDeploy{CreateDeploy: request("web", "9", "name=*")}
	req.Waves = halves
	_, err := d.preview(req, d.now)
	wantCode(t, err, control.CodeNotFound)
	req.Artifact, req.Format = &control.Artifact{SHA256: release.Digest{9}, Bytes: 500}, release.FormatTarZstd
	d.fleet.hosts["h03"].Apps = []string{"api"}
	running := d.start("web", "2", "name=*")
	p, err := d.preview(req, d.now)
	if err != nil {
		t.Fatal(err)
	}
	if p.Artifact != *req.Artifact || p.Bytes != 2000 || !p.Changes || p.Running != running.ID || !slices.Equal(p.Waves, []int{2, 2}) || p.Previous == nil || p.Previous.Version != "1" {
		t.Errorf("%+v", p)
	}
	for i, h := range p.Hosts {
		if h.Wave != 1+i/2 || h.Running != "1" || h.Bytes != 500 || h.Disk != 500 || h.Unpacks != 2500 || (h.Refuses != "") != (h.Name == "h03") {
			t.Errorf("%+v", h)
		}
	}
	if d.catalog.find(req.Ref) != nil {
		t.Error("the plan made a release")
	}
}
