package seeder

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// maxBookkeeping is what a deploy to a thousand hosts may cost the ledger, in CPU time:
// several times what it does on a slow core, and a small part of what it would with one
// look at all hosts for each report of one.
const maxBookkeeping = 5 * time.Second

// cpuTime is what the process has used by now.
func cpuTime(t *testing.T) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestAThousandHosts has a whole deploy in waves reported by a thousand hosts, while
// somebody watches.
func TestAThousandHosts(t *testing.T) {
	const hosts = 1000
	d := newDesk(t, t.TempDir())
	for i := range hosts {
		d.join(fmt.Sprintf("h%04d", i), release.Labels{"zone": fmt.Sprint(i % 3)})
	}
	d.make("web", "1")
	began := cpuTime(t)
	made := d.startAs(release.Rollout{Waves: []release.Share{release.Hosts(1), release.Percent(10), release.Percent(100)}}, "1", "name=*")
	for _, phase := range []release.Phase{release.Fetching, release.Verified, release.Staged} {
		for i := range hosts {
			d.reports(fmt.Sprintf("h%04d", i), i, made, phase)
		}
	}
	for rounds := 0; !made.Phase.Ended(); rounds++ {
		if rounds > 20 {
			t.Fatalf("deploy is %s: %s%s", made.Phase, made.Reason, made.waits)
		}
		for _, name := range d.goals() {
			if made.rows[name] != nil && !made.rows[name].Phase.Ended() {
				d.reports(name, 0, made, release.Activating)
				d.reports(name, 0, made, release.Active)
			}
		}
		d.pass(time.Second)
	}
	d.wantPhase(made.ID, release.DeploySucceeded)
	took := cpuTime(t) - began
	t.Logf("%s of CPU time", took)
	if took > maxBookkeeping {
		t.Errorf("%s of CPU time, want at most %s", took, maxBookkeeping)
	}
}

// reports delivers a host's word, and lets time go by with every fiftieth.
func (d *desk) reports(name string, n int, made *deploy, p release.Phase) {
	running := ""
	if p == release.Active {
		running = made.Manifest.Version
	}
	d.tells(name, made, control.JobReport{Phase: p}, running)
	if n%50 == 49 {
		d.now = d.now.Add(200 * time.Millisecond)
		d.tick(d.now)
		d.shown(made.ID)
	}
}
