package seeder

import (
	"fmt"
	"os"
	"testing"
	"time"

	"pgregory.net/rapid"

	"crow/internal/control"
	"crow/internal/release"
)

// murder is a fleet whose words reach the seeder in any order, often, or never,
// while hosts and seeder are killed and come back.
type murder struct {
	*desk
	t      *rapid.T
	boots  map[string]int
	said   []control.Report                // all that was ever said: any of it may arrive, again
	active map[string]map[string]bool      // deploy, host: it has said that it is active, and was heard
	ids    []string                        // of the deploys, in their order
	deploy map[string]control.DeployStatus // as last seen
}

var flock = []string{"a", "b", "c"}

func (m *murder) boot(host string) string { return fmt.Sprintf("boot-%s-%d", host, m.boots[host]) }

func (m *murder) hello(host string) {
	h := helloOf(host, nil)
	h.Boot = m.boot(host)
	if err := m.desk.hello(host, h, m.now); err != nil {
		m.t.Fatal(err)
	}
}

// speak has a host say something of a deploy, and delivers it or not.
func (m *murder) speak(t *rapid.T) {
	host := rapid.SampledFrom(flock).Draw(t, "host")
	id := rapid.SampledFrom(m.ids).Draw(t, "deploy")
	phase := release.Phase(rapid.IntRange(int(release.Pending), int(release.Failed)).Draw(t, "phase"))
	s := m.deploy[id]
	m.seq[host]++
	r := control.Report{Host: host, Boot: m.boot(host), Seq: m.seq[host], Jobs: []control.JobReport{
		{Deploy: id, App: s.App, Version: s.Version, Phase: phase, Reason: "said"},
	}}
	m.said = append(m.said, r)
	if rapid.Bool().Draw(t, "delivered") {
		m.deliver(r)
	}
}

func (m *murder) deliver(r control.Report) {
	if _, err := m.report(r, m.now); err != nil {
		wantCode(m.t, err, control.CodeUnknown)
		return
	}
	if j := r.Jobs[0]; j.Phase == release.Active {
		m.active[j.Deploy][r.Host] = true
	}
}

// check holds what must be so after every step.
func (m *murder) check(t *rapid.T) {
	for id, before := range m.deploy {
		s := m.shown(id)
		if before.Phase.Ended() && s.Phase != before.Phase {
			t.Fatalf("%s had %s and now has %s", id, before.Phase, s.Phase)
		}
		m.checkRows(t, before, s)
		active := 0
		for _, h := range s.Hosts {
			if h.Phase == release.Active {
				active++
				if !m.active[id][h.Name] {
					t.Fatalf("%s: %s is shown active and never said so", id, h.Name)
				}
			}
		}
		if s.Phase == release.DeploySucceeded && active < len(flock) {
			t.Fatalf("%s has succeeded with %d of %d hosts active", id, active, len(flock))
		}
		if s.Phase == release.DeployFailed && !before.Phase.Ended() && active == len(flock) {
			t.Fatalf("%s has failed with all hosts active", id)
		}
		m.deploy[id] = s
	}
}

// checkRows holds that a host which said how it ended stays so.
func (m *murder) checkRows(t *rapid.T, before, now control.DeployStatus) {
	for _, was := range before.Hosts {
		is := hostRow(now, was.Name)
		if was.Phase == release.Active && is.Phase != was.Phase || was.Reason == "said" && was.Phase.Ended() && is.Phase != was.Phase {
			t.Fatalf("%s: %s was %s and is %s", now.Deploy, was.Name, was.Phase, is.Phase)
		}
	}
}

// restart kills the seeder. What it heard in the last seconds of a deploy that
// goes on may be lost; hosts say it again.
func (m *murder) restart() {
	m.reopen()
	for id, s := range m.deploy {
		s.Hosts = nil
		m.deploy[id] = s
	}
}

func (m *murder) order(t *rapid.T) {
	s := m.shown(m.start("web", rapid.SampledFrom([]string{"1", "2"}).Draw(t, "version"), "name=*").ID)
	if _, known := m.deploy[s.Deploy]; known {
		return // the same was under way
	}
	m.deploy[s.Deploy], m.active[s.Deploy] = s, map[string]bool{}
	m.ids = append(m.ids, s.Deploy)
}

// checkInFolder is rapid.Check with a folder for each try.
func checkInFolder(t *testing.T, property func(t *rapid.T, path string)) {
	rapid.Check(t, func(t *rapid.T) {
		path, err := os.MkdirTemp("", "crow")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(path)
		property(t, path)
	})
}

func newMurder(t *rapid.T, path string) *murder {
	m := &murder{
		desk: newDesk(t, path), t: t, boots: map[string]int{},
		active: map[string]map[string]bool{}, deploy: map[string]control.DeployStatus{},
	}
	for _, host := range flock {
		m.hello(host)
	}
	m.make("web", "1")
	m.make("web", "2")
	m.order(t)
	return m
}

// TestEveryDeployEndsAsItsHostsDid tries any order of reports, repeats, losses,
// restarts and silence. No deploy may succeed with a host that is not active,
// change its end, or stay without one.
func TestEveryDeployEndsAsItsHostsDid(t *testing.T) {
	checkInFolder(t, func(t *rapid.T, path string) {
		m := newMurder(t, path)
		t.Repeat(map[string]func(*rapid.T){
			"report": m.speak,
			"repeat": func(t *rapid.T) {
				if len(m.said) > 0 {
					m.deliver(rapid.SampledFrom(m.said).Draw(t, "report"))
				}
			},
			"restart agent": func(t *rapid.T) {
				host := rapid.SampledFrom(flock).Draw(t, "host")
				m.boots[host]++
				m.hello(host)
			},
			"restart seeder": func(*rapid.T) { m.restart() },
			"gossip": func(t *rapid.T) {
				state := rapid.SampledFrom([]control.HostState{control.HostAlive, control.HostFailed}).Draw(t, "state")
				m.fleet.gossiped(rapid.SampledFrom(flock).Draw(t, "host"), state)
			},
			"wait":   func(t *rapid.T) { m.pass(time.Duration(rapid.IntRange(1, 100).Draw(t, "seconds")) * time.Second) },
			"deploy": m.order,
			"":       m.check,
		})
		m.pass(defaultPace().deadline + 2*defaultPace().grace)
		m.check(t)
		for id, s := range m.deploy {
			if !s.Phase.Ended() {
				t.Fatalf("%s has not ended: %s", id, s.Phase)
			}
		}
	})
}
