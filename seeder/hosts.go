package seeder

import (
	"errors"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// maxHosts bounds the fleet: twice what one seeder is for.
const maxHosts = 20_000

// host is one host in the books.
type host struct {
	control.Host
	boot   string    // of the agent that speaks for it
	former string    // of the agent before that
	seq    uint64    // of its last report in this boot
	spared time.Time // when its silence begins to count: nobody could be heard before
	spoke  bool      // it has reported in this boot and this life of the seeder
	anew   bool      // its agent has begun anew, and has not reported since

	member control.HostState // by gossip; empty: not seen there

	orders map[string]*deploy           // by app
	jobs   map[string]control.JobReport // by app: its last word on its order, in this life of the seeder
	leave  map[string]leave             // by app: to go live outside a deploy's own course
	// lingers has the apps for which the host may still go live by another order than the
	// one that it has, and since when: it has not spoken of that one yet, or a hook keeps it.
	lingers map[string]time.Time
	staged  map[string][]string  // by app: versions that can go live without a byte moved
	since   map[string]time.Time // by app: when it was first said to run what it runs
	list    []control.Order      // the same, as the host is told; replaced, never changed
	watch   watch
}

// leave lets a host set a deploy's release live although the deploy has ended, or does
// not count it.
type leave struct {
	deploy string
	since  time.Time
}

// registered is a host in the fleet's document.
type registered struct {
	control.Host
	Boot   string               `json:"boot"`
	Former string               `json:"former,omitempty"`
	Since  map[string]time.Time `json:"since,omitempty"`
}

// fleet is the part of the books about hosts.
type fleet struct {
	*env
	hosts   map[string]*host
	hearing hearing
	dirty   bool
	saved   time.Time
}

func loadFleet(e *env) (*fleet, error) {
	f := &fleet{env: e, hosts: map[string]*host{}}
	var all []registered
	if err := f.get(kindFleet, kindFleet, &all); err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	for _, r := range all {
		h := newHost(r.Name)
		h.Host, h.boot, h.former = r.Host, r.Boot, r.Former
		maps.Copy(h.since, r.Since)
		f.hosts[h.Name] = h
	}
	return f, nil
}

// settle takes down for which apps a host goes live by another order than it has, by all
// that it is at. Beside a hook of before it speaks of its order too, which waits for that.
func (h *host) settle(jobs []control.JobReport, now time.Time) {
	for app, d := range h.orders {
		spoke, hook := false, false
		for _, j := range jobs {
			spoke = spoke || j.App == app && j.Deploy == d.ID
			hook = hook || j.App == app && j.Deploy != d.ID && j.Phase == release.Activating
		}
		switch {
		case hook && h.lingers[app].IsZero():
			h.lingers[app] = now
		case hook:
		case spoke:
			delete(h.lingers, app)
		}
	}
}

func newHost(name string) *host {
	// Documents show what is empty as empty, and not as null.
	empty := control.Host{Name: name, Labels: release.Labels{}, Apps: []string{}, Running: map[string]string{}}
	return &host{
		Host: empty, orders: map[string]*deploy{}, jobs: map[string]control.JobReport{},
		leave: map[string]leave{}, lingers: map[string]time.Time{}, since: map[string]time.Time{}, watch: newWatch(1),
	}
}

// save writes the fleet down. But for limits, which see to it themselves, the
// document only spares a restarted seeder the wait for its hosts to say hello, so
// a failure is logged and tried again.
func (f *fleet) save(now time.Time) {
	if err := f.write(now); err != nil {
		f.log.Error("registry of hosts not saved", zap.Error(err))
	}
}

// write is save for who cannot go on without. After an error the disk has the
// old registry or the new one.
func (f *fleet) write(now time.Time) error {
	all := make([]registered, 0, len(f.hosts))
	for _, h := range f.sorted() {
		all = append(all, registered{Host: h.Host, Boot: h.boot, Former: h.former, Since: h.since})
	}
	f.saved = now
	err := f.put(kindFleet, kindFleet, all)
	f.dirty = err != nil
	return err
}

func (f *fleet) sorted() []*host {
	return slices.SortedFunc(maps.Values(f.hosts), func(a, b *host) int {
		switch {
		case a.Name < b.Name:
			return -1
		case a.Name > b.Name:
			return 1
		}
		return 0
	})
}

// has reports whether an expression matches any host, whatever its state.
func (f *fleet) has(e release.Expr) bool {
	for _, h := range f.hosts {
		if e.Match(h.Name, h.Labels) {
			return true
		}
	}
	return false
}

// heard takes down that a host called.
func (f *fleet) heard(h *host, now time.Time) {
	f.hears(now)
	h.LastSeen = now.UTC()
	f.setState(h, control.HostAlive)
}

// certified takes down until when the certificate holds that a host called with.
// Without TLS, which is zero, it has none.
func (f *fleet) certified(name string, expires time.Time) {
	if h := f.hosts[name]; h != nil && !h.CertExpires.Equal(expires) {
		h.CertExpires, f.dirty = expires.UTC(), true
	}
}

// runs takes down what a host runs.
func (f *fleet) runs(h *host, running map[string]string, now time.Time) {
	if maps.Equal(h.Running, running) {
		return
	}
	for app := range h.since {
		if _, still := running[app]; !still {
			delete(h.since, app)
		}
	}
	for app, version := range running {
		if h.Running[app] != version {
			h.since[app] = now.UTC()
		}
	}
	h.Running, f.dirty = running, true
}

func (f *fleet) setState(h *host, s control.HostState) {
	if h.State == s {
		return
	}
	before := h.State
	h.State, f.dirty = s, true
	log := f.log.With(zap.String("host", h.Name), zap.String("address", h.Address))
	switch {
	case s == control.HostFailed:
		log.Warn("host failed", zap.Time("last_seen", h.LastSeen))
	case s == control.HostLeft:
		log.Info("host left")
	case before == control.HostFailed:
		log.Info("host is back")
	default:
		log.Info("host joined", zap.Any("labels", h.Labels))
	}
}

// goodbye takes down that a host's agent has ended. A later agent's place is not
// touched by an earlier one's goodbye.
func (f *fleet) goodbye(name, boot string) error {
	h := f.hosts[name]
	switch {
	case h == nil:
		return unknownHost(name)
	case h.boot == boot:
		h.member = control.HostLeft
		f.setState(h, control.HostLeft)
	}
	return nil
}

// gossiped takes in what gossip makes of a host. It says the same over and over;
// only a change is news. Whoever has its key can say anything there: a host that
// is said to have left may be gone, as one that failed, and is waited for all the
// same unless it said goodbye itself; and that one is there is for it to show by
// its calls.
func (f *fleet) gossiped(name string, state control.HostState) {
	h := f.hosts[name]
	if h == nil || h.member == state {
		return
	}
	h.member = state
	switch {
	case h.State == control.HostLeft && state != control.HostAlive:
	case state == control.HostLeft:
		f.setState(h, control.HostFailed)
	default:
		f.setState(h, state)
	}
}

// review finds the hosts that fell silent, and forgets those that have been
// for very long, whatever deploy counts them: it goes on without their orders.
// Silence begins no earlier than the seeder could hear anybody, and LastSeen may be as
// old as the registry's last save.
func (f *fleet) review(now time.Time) (forgotten []*host) {
	for _, h := range f.hosts {
		silence := now.Sub(later(h.LastSeen, f.silentFrom(h, now)))
		if silence < f.pace.grace {
			continue
		}
		if h.State == control.HostAlive {
			f.setState(h, control.HostFailed)
		}
		if silence >= f.pace.forget {
			delete(f.hosts, h.Name)
			f.dirty = true
			f.log.Info("host forgotten", zap.String("host", h.Name), zap.Time("last_seen", h.LastSeen))
			forgotten = append(forgotten, h)
		}
	}
	return forgotten
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
