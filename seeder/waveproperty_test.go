package seeder

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
)

// flight is a deploy in waves whose hosts do as they are told, or fail, or are killed,
// and whose words reach the seeder late, often or never.
type flight struct {
	*desk
	t       *rapid.T
	d       string // the deploy's id
	how     release.Rollout
	names   []string                 // of the hosts that count
	late    []string                 // of those that came later
	quiet   map[string]bool          // of those, which were silent when places were last given
	lost    map[string]bool          // hosts that were silent while they could go live: another may have their place
	boots   map[string]int           // how often a host's agent has begun anew
	told    map[string]control.Order // what a host has heard
	is      map[string]release.Phase // where it really stands
	live    map[string]bool          // it has begun to go live, whatever the seeder knows
	attempt map[string]int
	turn    map[string]bool // it was told to go live
	said    []control.Report
	allowed int // hosts that may be live by now: those of the waves that have been opened
}

func newFlight(t *rapid.T, path string) *flight {
	how := release.Rollout{
		Waves:       []release.Share{release.Hosts(1), release.Percent(60), release.Percent(100)},
		WavePause:   release.Duration(rapid.SampledFrom([]time.Duration{0, 30 * time.Second}).Draw(t, "pause")),
		HostsAtOnce: rapid.IntRange(0, 2).Draw(t, "at once"),
	}
	n := rapid.IntRange(2, 7).Draw(t, "hosts")
	if rapid.Bool().Draw(t, "limit") {
		s := release.Hosts(rapid.IntRange(0, n).Draw(t, "failures"))
		how.MaxFailures = &s
	}
	return newFlightAs(t, path, n, how)
}

func newFlightAs(t *rapid.T, path string, n int, how release.Rollout) *flight {
	f := &flight{
		desk: newDesk(t, path), t: t, told: map[string]control.Order{}, is: map[string]release.Phase{},
		live: map[string]bool{}, attempt: map[string]int{}, turn: map[string]bool{}, quiet: map[string]bool{}, how: how,
		lost: map[string]bool{}, boots: map[string]int{},
	}
	for i := range n {
		f.names = append(f.names, fmt.Sprintf("h%d", i))
		f.greet(f.names[i])
	}
	f.make("web", "1")
	req := request("web", "1", "name=*")
	req.Rollout = f.how
	d, err := f.deploy(req, f.now)
	if err != nil {
		t.Fatal(err)
	}
	f.d = d.ID
	return f
}

func (f *flight) all() []string { return slices.Concat(f.names, f.late) }

// newcomer has a host come that the deploy does not count.
func (f *flight) newcomer() {
	if len(f.late) < 3 {
		f.late = append(f.late, fmt.Sprintf("late%d", len(f.late)))
		f.join(f.late[len(f.late)-1], nil)
	}
}

// restart kills the seeder. Hosts that it had not written down as they are say hello again.
func (f *flight) restart() {
	f.reopen()
	clear(f.quiet)
	for _, name := range f.all() {
		if h := f.fleet.hosts[name]; h == nil || h.boot != f.boot(name) {
			f.greet(name)
		}
	}
}

// greet has a host's agent say hello.
func (f *flight) greet(name string) {
	hello := helloOf(name, f.labels(name))
	hello.Boot = f.boot(name)
	if err := f.hello(name, hello, f.now); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flight) boot(name string) string {
	return fmt.Sprint("boot-", name, strings.Repeat("+", f.boots[name]))
}

// labels are those that a host came with.
func (f *flight) labels(name string) release.Labels {
	if i := slices.Index(f.names, name); i >= 0 {
		return release.Labels{"zone": fmt.Sprint(i % 2)}
	}
	return nil
}

// rebootAgent has a host's agent begin anew, and go on by the orders on its disk. A job
// that went live begins that again.
func (f *flight) rebootAgent(t *rapid.T) {
	name := rapid.SampledFrom(f.all()).Draw(t, "host")
	f.hear(name) // what it was told a moment ago is on its disk
	f.boots[name]++
	f.greet(name)
	if f.is[name] == release.Staged && f.told[name].Goal == control.GoalActivate {
		f.is[name], f.live[name] = release.Activating, true
	}
}

// hear has a host take its orders, as they are now. A hook that has begun goes on,
// whatever they are; all else ends with the order.
func (f *flight) hear(name string) {
	h := f.fleet.hosts[name]
	f.fleet.heard(h, f.now)
	if f.is[name] != release.Activating {
		delete(f.told, name)
	}
	for _, o := range h.list {
		if o.Deploy == f.d {
			f.told[name] = o
		}
	}
}

// work has a host do its next step, as it was last told.
func (f *flight) work(t *rapid.T) {
	name := rapid.SampledFrom(f.all()).Draw(t, "host")
	if rapid.Bool().Draw(t, "polls") {
		f.hear(name)
	}
	o, heard := f.told[name]
	if !heard {
		return
	}
	if o.Attempt > f.attempt[name] && f.is[name] == release.Failed {
		f.attempt[name], f.is[name] = o.Attempt, release.Pending
	}
	p := f.is[name]
	if p.Ended() {
		return
	}
	fails := rapid.IntRange(0, 9).Draw(t, "fails") == 0
	switch {
	case fails && p != release.Pending:
		p = release.Failed
	case p == release.Staged && o.Goal == control.GoalActivate:
		p = release.Activating
		f.live[name] = true
	case p < release.Staged || p == release.Activating:
		p++
	}
	f.is[name] = p
	f.speak(name, rapid.Bool().Draw(t, "delivered"))
}

// speak has a host say where it stands.
func (f *flight) speak(name string, delivered bool) {
	o := f.told[name]
	f.seq[name]++
	j := control.JobReport{Deploy: f.d, App: "web", Version: "1", Phase: f.is[name], Attempt: f.attempt[name]}
	if f.is[name] == release.Failed {
		j.Reason = "why"
		if f.live[name] {
			j.Hook = &control.HookResult{Exit: 1}
		}
	}
	r := control.Report{Host: name, Boot: f.boot(name), Seq: f.seq[name], Jobs: []control.JobReport{j}}
	if f.live[name] { // its link leads there before its hook runs
		r.Running = map[string]string{"web": "1"}
	}
	f.said = append(f.said, r)
	if delivered && o.Deploy != "" {
		f.deliver(r)
	}
}

func (f *flight) deliver(r control.Report) {
	if _, err := f.report(r, f.now); err != nil {
		wantCode(f.t, err, control.CodeUnknown)
	}
}

// steering has an operator do something.
func (f *flight) steering(t *rapid.T) {
	s := control.Steer{
		Verb:       rapid.SampledFrom([]control.Verb{control.VerbPause, control.VerbResume, control.VerbRetry, control.VerbAbort}).Draw(t, "verb"),
		FailedOnly: rapid.Bool().Draw(t, "failed only"),
	}
	if _, err := f.steered(f.d, s, "op", f.now); err != nil {
		wantCode(t, err, control.CodeEnded)
	}
}

// rival has somebody deploy another release, to one host or to all.
func (f *flight) rival(t *rapid.T) {
	target := rapid.SampledFrom([]release.Expr{"name=h0", "name=*"}).Draw(t, "target")
	if f.catalog.find(release.Ref{App: "web", Version: "2"}) == nil {
		f.make("web", "2")
	}
	f.start("web", "2", target)
	if s := f.shown(f.d); !s.Phase.Ended() {
		t.Fatalf("a deploy to some of its hosts has begun, and it is %s", s.Phase)
	}
}

// checkOrders holds that each host is told what it should have by now, and that no
// more go live at once than may, unless they have begun.
func (f *flight) checkOrders(t *rapid.T, d *deploy) {
	busy, begun := 0, 0
	for _, h := range f.fleet.sorted() {
		of := h.orders["web"]
		if of != f.newestFor(h, "web") {
			t.Fatalf("%s has the order %q, which is not the newest deploy that is for it", h.Name, f.orderOf(h.Name, "web"))
		}
		for _, o := range h.list {
			if is := of.order(h); o.Deploy != is.Deploy || o.Attempt != is.Attempt || o.Goal == control.GoalActivate && is.Goal != o.Goal {
				t.Fatalf("%s was told %s of %s, attempt %d, and should do %s of %s, attempt %d",
					h.Name, o.Goal, o.Deploy, o.Attempt, is.Goal, is.Deploy, is.Attempt)
			}
			r := d.rows[h.Name]
			switch {
			case of != d || o.Goal != control.GoalActivate || r.Phase.Ended():
			case r.Late:
				if f.holdsPlace(h, r) {
					busy++
					if r.Begun {
						begun++
					}
				}
			case r.Verdict == "":
				f.turn[h.Name] = true
				busy++
				if r.Begun {
					begun++
				}
			case !d.Phase.Ended() && !f.turn[h.Name] && f.how.HostsAtOnce > 0:
				t.Fatalf("%s is told to go live as soon as it is heard again, and its turn has not come", h.Name)
			}
		}
	}
	if f.how.HostsAtOnce > 0 && !d.Phase.Ended() && busy > max(f.how.HostsAtOnce, begun) {
		t.Fatalf("%d hosts are told to go live at once, and %d of them have begun; want at most %d", busy, begun, f.how.HostsAtOnce)
	}
}

// checkHooks holds that no more hooks run at once than may, whatever the seeder knows of
// them.
func (f *flight) checkHooks(t *rapid.T) {
	var at []string
	for _, name := range f.all() {
		if f.is[name] == release.Activating && !f.lost[name] {
			at = append(at, name)
		}
	}
	if len(at) > f.how.HostsAtOnce {
		t.Fatalf("%v go live at once, want at most %d", at, f.how.HostsAtOnce)
	}
}

// holdsPlace reports whether a host that is not counted goes live now, as the seeder can
// know.
func (f *flight) holdsPlace(h *host, r *rollout.Row) bool {
	l := h.leave["web"]
	return !f.quiet[h.Name] && (r.Begun || l.deploy == f.d && f.now.Before(l.since.Add(f.pace.deadline)))
}

// check holds what must be so after every step: nobody went live whose wave had not
// come, and a wave comes only when the one before it has ended.
func (f *flight) check(t *rapid.T) {
	d, err := f.deploys.find(f.d)
	if err != nil {
		t.Fatal(err)
	}
	f.checkOrders(t, d)
	ends := f.how.Ends(len(f.names))
	open := 0
	if d.Course.Wave > 0 {
		open = ends[d.Course.Wave-1]
	}
	if open > f.allowed {
		f.opened(t, d, open)
	}
	if d.Phase.Ended() && d.isOpen() {
		f.allowed = len(f.names) // hosts that come back catch up
	}
	live := 0
	for _, name := range f.names {
		if f.live[name] {
			live++
		}
	}
	if live > f.allowed {
		t.Fatalf("%d hosts are live, and waves are open for %d", live, f.allowed)
	}
	s := f.shown(f.d)
	if s.Phase == release.DeploySucceeded {
		f.checkSuccess(t, s)
	}
}

// opened holds that a wave may begin: all have fetched, those of the waves before
// have ended, and no more failed than may, or than somebody has let pass.
func (f *flight) opened(t *rapid.T, d *deploy, open int) {
	failed := 0
	for n, i := range d.program.Turns {
		r := d.rows[d.Hosts[i]]
		shown := r.Shown().Phase
		if n < f.allowed && !shown.Ended() {
			t.Fatalf("the wave up to %d of %d began when %s of an earlier one was %s", open, len(f.names), r.Name, shown)
		}
		if f.allowed == 0 && shown < release.Staged {
			t.Fatalf("the first wave began when %s was %s", r.Name, shown)
		}
		if shown == release.Failed {
			failed++
		}
	}
	if allowed, _ := f.how.Stops(len(f.names)); failed > max(allowed, d.Course.Forgiven) {
		t.Fatalf("the wave up to %d began with %d failures, %d are allowed and %d forgiven", open, failed, allowed, d.Course.Forgiven)
	}
	f.allowed = open
}

func (f *flight) checkSuccess(t *rapid.T, s control.DeployStatus) {
	failed := 0
	for _, h := range s.Hosts {
		if h.Late {
			continue
		}
		if h.Phase == release.Failed {
			failed++
		} else if h.Phase != release.Active {
			t.Fatalf("the deploy has succeeded and %s is %s", h.Name, h.Phase)
		}
	}
	if allowed, _ := f.how.Stops(len(f.names)); failed > allowed {
		t.Fatalf("the deploy has succeeded with %d failures, %d are allowed", failed, allowed)
	}
}

// TestNoWaveTooEarly tries any order of steps, words, losses, repeats, silences,
// commands and restarts of the seeder. In the end, when all is heard, the deploy
// has ended, or waits for an operator.
func TestNoWaveTooEarly(t *testing.T) {
	checkInFolder(t, func(t *rapid.T, path string) {
		f := newFlight(t, path)
		t.Repeat(map[string]func(*rapid.T){
			"work":  f.work,
			"again": f.work,
			"more":  f.work,
			"repeat": func(t *rapid.T) {
				if len(f.said) > 0 {
					f.deliver(rapid.SampledFrom(f.said).Draw(t, "report"))
				}
			},
			"newcomer":       func(*rapid.T) { f.newcomer() },
			"restart seeder": func(*rapid.T) { f.restart() },
			"steer":          f.steering,
			"gossip": func(t *rapid.T) {
				state := rapid.SampledFrom([]control.HostState{control.HostAlive, control.HostFailed}).Draw(t, "state")
				f.fleet.gossiped(rapid.SampledFrom(f.all()).Draw(t, "host"), state)
			},
			"silence": func(t *rapid.T) { f.silence(t, func(string) {}) },
			"rival": func(t *rapid.T) {
				if rapid.IntRange(0, 3).Draw(t, "comes") == 0 {
					f.rival(t)
				}
			},
			"wait": func(t *rapid.T) { f.wait(t, rapid.IntRange(1, 40).Draw(t, "seconds")) },
			"":     f.check,
		})
		for range 4 * len(f.all()) {
			f.settle(t)
		}
		s := f.shown(f.d)
		if !s.Phase.Ended() && s.Phase != release.DeployPaused {
			t.Fatalf("it has neither ended nor stopped: %s, it waits for %s", s.Phase, s.WaitsFor)
		}
	})
}

// settle has every host hear, work without failing, and be heard.
func (f *flight) settle(t *rapid.T) {
	for _, name := range f.all() {
		f.fleet.gossiped(name, control.HostAlive)
		f.hear(name)
		o, heard := f.told[name]
		if !heard {
			continue
		}
		if o.Attempt > f.attempt[name] && f.is[name] == release.Failed {
			f.attempt[name], f.is[name] = o.Attempt, release.Pending
		}
		for p := f.is[name]; !p.Ended() && (p != release.Staged || o.Goal == control.GoalActivate); p = f.is[name] {
			if p == release.Staged {
				f.live[name] = true
			}
			f.is[name]++
		}
		f.speak(name, true)
		f.check(t)
	}
	f.wait(t, 31)
}

// silence lets more than the grace go by in which only some hosts poll, and then do more.
func (f *flight) silence(t *rapid.T, more func(host string)) {
	there := rapid.SliceOfDistinct(rapid.SampledFrom(f.all()), rapid.ID[string]).Draw(t, "there")
	for _, name := range f.all() {
		f.lost[name] = f.lost[name] || !slices.Contains(there, name) && f.told[name].Goal == control.GoalActivate
	}
	for range 4 {
		for _, name := range there {
			f.hear(name)
			more(name)
		}
		f.wait(t, 20)
	}
}

// wait lets time pass and looks after each tick: what opened a wave may be followed
// by what would not have.
func (f *flight) wait(t *rapid.T, seconds int) {
	for range seconds {
		f.pass(time.Second)
		for _, name := range f.late {
			f.quiet[name] = !f.isThere(f.fleet.hosts[name], f.now)
		}
		for _, name := range f.all() {
			o := f.told[name]
			ended := f.is[name].Ended() && o.Attempt <= f.attempt[name]
			could := f.is[name] == release.Activating || o.Goal == control.GoalActivate && !ended
			f.lost[name] = could && (f.lost[name] || !f.isThere(f.fleet.hosts[name], f.now))
		}
		f.check(t)
	}
}

// TestHostsAtOnceAreAllHosts begins where hosts of a deploy have ended, or are at it, and
// others have come since: no more of all of them go live at once than may.
func TestHostsAtOnceAreAllHosts(t *testing.T) {
	checkInFolder(t, func(t *rapid.T, path string) {
		how := release.Rollout{HostsAtOnce: rapid.IntRange(1, 2).Draw(t, "at once"), MaxFailures: share("100%")}
		f := newFlightAs(t, path, rapid.IntRange(2, 3).Draw(t, "hosts"), how)
		for range 3 {
			f.newcomer()
		}
		for range 4 {
			for _, name := range f.all() {
				f.step(t, name)
			}
			f.wait(t, 1)
		}
		work := func(t *rapid.T) {
			f.step(t, rapid.SampledFrom(f.all()).Draw(t, "host"))
			f.call()
			f.wait(t, rapid.IntRange(0, 1).Draw(t, "seconds"))
		}
		t.Repeat(map[string]func(*rapid.T){
			"work": work, "again": work, "more": work,
			"retry": func(t *rapid.T) {
				if _, err := f.steered(f.d, control.Steer{Verb: control.VerbRetry}, "op", f.now); err != nil {
					t.Fatal(err)
				}
			},
			"silence":        func(t *rapid.T) { f.silence(t, f.answer) },
			"restart seeder": func(*rapid.T) { f.restart() },
			"restart agent":  f.rebootAgent,
			"": func(t *rapid.T) {
				f.check(t)
				f.checkHooks(t)
			},
		})
	})
}

// call has every host poll, and say where it stands.
func (f *flight) call() {
	for _, name := range f.all() {
		f.hear(name)
		f.answer(name)
	}
}

// answer has a host with an order say where it stands.
func (f *flight) answer(name string) {
	if f.told[name].Deploy != "" {
		f.speak(name, true)
	}
}

// step has a host hear its orders, do its next step and say so.
func (f *flight) step(t *rapid.T, name string) {
	f.hear(name)
	o, heard := f.told[name]
	if !heard {
		return
	}
	if o.Attempt > f.attempt[name] && f.is[name] == release.Failed {
		f.attempt[name], f.is[name] = o.Attempt, release.Pending
	}
	switch p := f.is[name]; {
	case p < release.Staged:
		f.is[name] = release.Staged
	case p == release.Staged && o.Goal == control.GoalActivate:
		f.is[name], f.live[name] = release.Activating, true
	case p == release.Activating:
		f.is[name] = rapid.SampledFrom([]release.Phase{release.Activating, release.Active, release.Failed}).Draw(t, "then")
	}
	f.speak(name, true)
}
