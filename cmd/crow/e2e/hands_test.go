package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/pki"
	"crow/internal/release"
)

// hands is a fleet of four apps on which several people and jobs work at once. All
// hooks keep a journal.
type hands struct {
	*fleet
	journal *journal
}

func startHands(t *testing.T) hands {
	t.Helper()
	h := hands{fleet: startSeeder(t, ""), journal: newJournal(t)}
	for range 4 {
		h.addPeer(peerConfig{
			app:   h.journal.app("0.3", ""),
			extra: fmt.Sprintf("  api: %[1]s\n  db: %[1]s\n  img: %[1]s", h.journal.app("0.1", "")),
		})
	}
	h.awaitHosts(len(h.peers))
	return h
}

// in is the same for a part of the test.
func (h hands) in(t *testing.T) hands {
	f, j := *h.fleet, *h.journal
	f.t, j.t = t, t
	return hands{&f, &j}
}

// TestManyHands has people, jobs and hosts get in each other's way. However that goes,
// no host may ever run two hooks of an app at once.
func TestManyHands(t *testing.T) {
	h := startHands(t)
	for _, part := range []struct {
		name string
		run  func(hands)
	}{
		{"two operators steer one deploy", hands.steerAtOnce},
		{"two operators deploy at once", hands.deployAtOnce},
		{"a job is killed and tried again", hands.killJobs},
		{"a rollback goes through while other apps are pushed", hands.goBackUnderLoad},
		{"a host is installed anew", hands.reinstall},
		{"agents are killed in their hooks", hands.killAgents},
	} {
		t.Run(part.name, func(t *testing.T) {
			began := time.Now()
			in := h.in(t)
			part.run(in)
			in.journal.wantNoOverlap()
			t.Logf("took %s", time.Since(began))
		})
	}
	if r := h.crow("history", "--verify"); r.code != 0 {
		t.Errorf("the history is not whole: %+v", r)
	}
}

// pushOf are the arguments that push a build of an app to all hosts.
func pushOf(app, version, build string, flags ...string) []string {
	return append([]string{"push", build, "--app", app, "--version", version, "--target", "role=web", "--timeout", "90s"}, flags...)
}

// must runs a command that has to succeed.
func (f *fleet) must(args ...string) result {
	f.t.Helper()
	r := f.crow(args...)
	if r.code != 0 {
		f.t.Fatalf("crow %q: %+v", args, r)
	}
	return r
}

// wantAll waits until an app's release is the live one everywhere.
func (f *fleet) wantAll(app, version string) {
	f.t.Helper()
	for _, p := range f.peers {
		f.eventually(30*time.Second, fmt.Sprintf("%s runs %s@%s", p.name, app, version), func() error {
			link, err := os.Readlink(filepath.Join(p.data, "apps", app, "current"))
			if err == nil && filepath.Base(link) != version {
				err = fmt.Errorf("it runs %q: %s", link, f.crow("status", app).stdout)
			}
			return err
		})
	}
}

// history is what crow history tells of an app.
func (f *fleet) history(app string) (all []control.HistoryEntry) {
	f.t.Helper()
	r := f.must("history", app, "--limit", "10000", "--output", "json")
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil {
		f.t.Fatal(err)
	}
	return all
}

// operator is somebody who steers, and what the seeder took of that.
type operator struct {
	*fleet
	name string
	did  map[string]int
}

// operators are the fleet's first operator and a second one.
func (f *fleet) operators() (ann, bob operator) {
	f.t.Helper()
	other := *f
	other.operator = f.own.clientConfigOf(f.seederURL(), f.own.issue(pki.Request{Role: "operator", Name: "bob"}))
	return operator{f, "ann", map[string]int{}}, operator{&other, "bob", map[string]int{}}
}

// steerAtRandom gives commands without thinking.
func (o operator) steerAtRandom(until time.Time) {
	commands := [][]string{{"pause"}, {"pause"}, {"resume"}, {"resume"}, {"resume"}, {"retry"}, {"retry"}, {"retry", "--failed-only"}, {"abort"}}
	for time.Now().Before(until) {
		c := commands[rand.IntN(len(commands))]
		r := o.crow(append(c, "web")...)
		switch {
		case r.code == 0:
			o.did[c[0]]++
		case r.code != 2 || !strings.Contains(r.stderr, "it has ended: "):
			o.t.Errorf("%s: %q: %+v", o.name, c, r)
		}
	}
}

// steerAtOnce has two operators steer a deploy without knowing of each other. Who is
// the last to say retry gets it through.
func (h hands) steerAtOnce() {
	ann, bob := h.operators()
	done := ann.background(pushOf("web", "1", text(h.t, "fail host-2"), "--wave", "1,2,3,100%", "--wave-pause", "200ms")...)
	h.eventually(30*time.Second, "a hook runs", func() error {
		if len(h.journal.entries()) == 0 {
			return fmt.Errorf("none has")
		}
		return nil
	})
	until := time.Now().Add(6 * time.Second)
	var both sync.WaitGroup
	for _, o := range []operator{ann, bob} {
		both.Go(func() { o.steerAtRandom(until) })
	}
	both.Wait()
	h.journal.mend()
	bob.must("retry", "web", "--wait", "--timeout", "60s")
	bob.did["retry"]++
	if r := <-done; r.code != 0 && r.code != 3 && r.code != 5 {
		h.t.Errorf("the push exits %d: %+v", r.code, r)
	}
	s := h.status("web")
	if s.Phase != release.DeploySucceeded {
		h.t.Errorf("the deploy is %s: %s", s.Phase, s.Reason)
	}
	for _, row := range s.Hosts {
		if row.Phase != release.Active {
			h.t.Errorf("%s is %s: %s", row.Name, row.Phase, row.Reason)
		}
	}
	h.wantAll("web", "1")
	h.wantNamed(s.Deploy, ann, bob)
}

// wantNamed checks that the history has every command, by who gave it.
func (h hands) wantNamed(deploy string, all ...operator) {
	h.t.Helper()
	got, ended := map[string]map[string]int{}, 0
	for _, e := range h.history("web") {
		switch {
		case e.Action == control.ActionEnded && e.Deploy == deploy:
			ended++
		case e.Result == control.ResultOK && e.Deploy == deploy && e.Action != control.ActionDeploy:
			if got[e.Who] == nil {
				got[e.Who] = map[string]int{}
			}
			got[e.Who][e.Action]++
		}
	}
	for _, o := range all {
		h.t.Logf("%s: %v", o.name, o.did)
		if fmt.Sprint(got[o.name]) != fmt.Sprint(o.did) {
			h.t.Errorf("%s gave the commands %v, the history has %v", o.name, o.did, got[o.name])
		}
	}
	if ended == 0 {
		h.t.Error("the history has no end of the deploy")
	}
}

// deployAtOnce has two operators bring different releases of an app to the same hosts.
func (h hands) deployAtOnce() {
	ann, bob := h.operators()
	done := ann.background(pushOf("web", "2", text(h.t, "two"), "--wave", "1,2,3,100%", "--wave-pause", "5s")...)
	h.eventually(30*time.Second, "the first goes live", func() error {
		for _, e := range h.journal.entries() {
			if e.version == "2" {
				return nil
			}
		}
		return fmt.Errorf("no hook runs")
	})
	bob.must(pushOf("web", "3", text(h.t, "three"))...)
	wantEnd(h.t, <-done, 5, "web@2", "superseded")
	h.wantAll("web", "3")

	// When both begin in the same moment, one order may come before and one after the
	// other, and the older release later than the newer one: that is refused.
	first := ann.background(pushOf("web", "4", text(h.t, "four"))...)
	second := bob.background(pushOf("web", "5", text(h.t, "five"))...)
	for version, r := range map[string]result{"4": <-first, "5": <-second} {
		h.t.Logf("%s exits %d: %s", version, r.code, r.stderr)
		switch {
		case r.code == 0, r.code == 5 && strings.Contains(r.stderr, "superseded"):
		case (r.code == 3 || r.code == 7) && strings.Contains(r.stderr, "older"):
		default:
			h.t.Errorf("the push of %s exits %d: %+v", version, r.code, r)
		}
	}
	if s := h.status("web"); !s.Phase.Ended() {
		h.t.Errorf("the deploy of %s is %s: %s", s.Version, s.Phase, s.WaitsFor)
	}
	ann.must(pushOf("web", "6", text(h.t, "six"))...)
	h.wantAll("web", "6")
}
