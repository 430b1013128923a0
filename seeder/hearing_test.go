package seeder

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// silence is a fleet in mid-deploy, of which nobody is heard for a while: what gossip
// says of hosts is that they are gone.
func silence(t *testing.T, hosts int) (*desk, *deploy) {
	d := newDesk(t, t.TempDir())
	for i := range hosts {
		d.join(fmt.Sprintf("h%d", i), nil)
	}
	d.make("web", "1")
	made := d.start("web", "1", "name=*")
	for i := range hosts {
		d.say(fmt.Sprintf("h%d", i), made, release.Fetching, "")
		d.now = d.now.Add(3 * time.Second)
		d.tick(d.now)
	}
	for i := range hosts {
		d.fleet.gossiped(fmt.Sprintf("h%d", i), control.HostFailed)
	}
	return d, made
}

// A seeder that is cut off from all hosts blames none of them, nor when it hears the
// first one again: the others have their grace to call.
func TestSeederThatIsCutOffBlamesNobody(t *testing.T) {
	d, made := silence(t, 4)
	d.pass(4 * time.Minute)
	if s := d.wantPhase(made.ID, release.DeployRunning); !strings.HasPrefix(s.WaitsFor, "any host to call: none has since ") {
		t.Errorf("it waits for %q", s.WaitsFor)
	}
	d.say("h0", made, release.Active, "")
	d.pass(40 * time.Second)
	d.say("h1", made, release.Active, "")
	d.say("h2", made, release.Active, "")
	d.wantPhase(made.ID, release.DeployRunning)
	d.say("h3", made, release.Active, "")
	d.wantPhase(made.ID, release.DeploySucceeded)
}

// Who stays silent when the others are back counts as unreachable.
func TestHostThatStaysSilentAfterAll(t *testing.T) {
	d, made := silence(t, 4)
	d.pass(2 * time.Minute)
	for i := range 3 {
		d.say(fmt.Sprintf("h%d", i), made, release.Active, "")
	}
	polls := func() {
		for i := range 3 {
			d.fleet.heard(d.fleet.hosts[fmt.Sprintf("h%d", i)], d.now)
		}
		d.pass(10 * time.Second)
	}
	for range 4 {
		polls()
	}
	d.wantPhase(made.ID, release.DeployRunning)
	for range 3 {
		polls()
	}
	s := d.wantPhase(made.ID, release.DeployFailed)
	if r := hostRow(s, "h3"); !strings.HasPrefix(r.Reason, "unreachable: ") {
		t.Errorf("h3: %s %q", r.Phase, r.Reason)
	}
}

// Every wait ends, also that for a whole fleet.
func TestFleetThatStaysSilent(t *testing.T) {
	d, made := silence(t, 4)
	d.pass(6 * time.Minute)
	d.wantPhase(made.ID, release.DeployFailed)
}

// One or two hosts may well fail at once, and do not speak for the network. Nor do
// hosts that fall silent while another calls.
func TestFewHostsThatFallSilent(t *testing.T) {
	for hosts, others := range map[int]int{2: 0, 4: 1} {
		d, made := silence(t, hosts)
		for range 6 {
			for i := range others {
				d.say(fmt.Sprintf("h%d", i), made, release.Fetching, "")
			}
			d.pass(10 * time.Second)
		}
		s := d.shown(made.ID)
		if r := hostRow(s, fmt.Sprintf("h%d", hosts-1)); r.Phase != release.Failed {
			t.Errorf("of %d hosts %d call: the last one is %s %q", hosts, others, r.Phase, r.Reason)
		}
	}
}

// A seeder that is idle hears its hosts as seldom as their polls come.
func TestIdleFleetIsHeard(t *testing.T) {
	d, _ := silence(t, 4)
	for range 10 {
		d.pass(defaultPace().hold())
		if !d.fleet.hearing.deaf.IsZero() {
			t.Fatal("it takes hosts that poll for a network that is down")
		}
		for _, h := range d.fleet.hosts {
			d.fleet.heard(h, d.now)
		}
	}
}

// A link that comes and goes excuses those that call whenever they can, and not one
// that is off.
func TestLinkThatFlapsExcusesNobodyForEver(t *testing.T) {
	d, made := silence(t, 5)
	d.say("h4", made, release.Fetching, "")
	d.pass(20 * time.Second)
	for range 6 {
		for i := range 4 {
			d.say(fmt.Sprintf("h%d", i), made, release.Fetching, "")
		}
		d.pass(30 * time.Second)
	}
	s := d.wantPhase(made.ID, release.DeployRunning)
	for i, want := range []release.Phase{release.Fetching, release.Fetching, release.Fetching, release.Fetching, release.Failed} {
		if r := hostRow(s, fmt.Sprintf("h%d", i)); r.Phase != want {
			t.Errorf("%s is %s %q, want %s", r.Name, r.Phase, r.Reason, want)
		}
	}
}

// Who was unreachable before stays so, whatever befalls the others.
func TestVerdictStandsWhileNobodyIsHeard(t *testing.T) {
	d, made := silence(t, 4)
	for range 7 {
		for i := range 3 {
			d.say(fmt.Sprintf("h%d", i), made, release.Fetching, "")
		}
		d.pass(10 * time.Second)
	}
	d.pass(40 * time.Second)
	s := d.wantPhase(made.ID, release.DeployRunning)
	if r := hostRow(s, "h3"); r.Phase != release.Failed {
		t.Errorf("h3 is %s %q", r.Phase, r.Reason)
	}
}

// A ledger that was held up, as by its disk, hears the first host before it looks.
func TestLedgerThatWasHeldUp(t *testing.T) {
	for _, span := range []time.Duration{70 * time.Second, time.Hour / 2} {
		d, made := silence(t, 4)
		d.now = d.now.Add(span)
		d.say("h0", made, release.Fetching, "")
		d.tick(d.now)
		s := d.wantPhase(made.ID, release.DeployRunning)
		for _, r := range s.Hosts {
			if r.Phase != release.Fetching {
				t.Errorf("after %s %s is %s %q", span, r.Name, r.Phase, r.Reason)
			}
		}
	}
}
