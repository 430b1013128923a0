package seeder

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
)

// deploy makes a deploy: for the hosts that its targets match now, and any that
// they will match later.
func (b *books) deploy(req control.CreateDeploy, now time.Time) (*deploy, error) {
	if id, err := b.keyed(req); id != "" || err != nil {
		d := b.deploys.byID[id]
		if d == nil && err == nil { // it was archived since the caller looked
			err = ended("deploy of %s: idempotency key %q is that of deploy %s, which is in the archive", req.Ref, req.Key, id)
		}
		return d, err
	}
	r, err := b.release(req.Ref)
	if err != nil {
		return nil, err
	}
	selector, err := b.selector(req)
	if err != nil {
		return nil, err
	}
	hosts, err := b.resolve(selector, req.Targets)
	if err != nil {
		return nil, err
	}
	if err := b.admissible(r.Manifest, req.Rollback, hosts, now); err != nil {
		return nil, err
	}
	if err := b.canFallBack(r.Manifest, req, now); err != nil {
		return nil, err
	}
	if err := b.keys.room(req.App, req.Key, now); err != nil {
		return nil, err
	}
	if d := b.same(r, req, selector, hosts, now); d != nil {
		return d, b.join(d, req.Key, now)
	}
	return b.launch(plan{
		Manifest: r.Manifest, Signatures: r.Signatures, Rollback: req.Rollback, Fallback: req.Fallback,
		Selector: selector, Hosts: hosts, Rollout: req.Rollout, Key: req.Key,
	}, now)
}

// launch puts a plan into force, once it and its key are on disk.
func (b *books) launch(p plan, now time.Time) (*deploy, error) {
	d, err := b.write(p, now)
	if err != nil {
		return nil, err
	}
	if err := b.join(d, p.Key, now); err != nil {
		return nil, errors.Join(err, b.dir.DeleteDoc(kindDeploy, d.ID)) // or it would begin with the next start
	}
	b.begin(d, now)
	return d, nil
}

// write puts a new deploy's plan on disk.
func (b *books) write(p plan, now time.Time) (*deploy, error) {
	p.ID, p.Seq, p.Started = b.deploys.newID(), b.deploys.seq+1, now.UTC()
	if p.Turns == nil {
		p.Turns = rollout.Turns(b.zones(p.Hosts))
	}
	d := b.deploys.open(p)
	if b.fleet.dirty {
		b.fleet.save(now) // a restarted seeder is to know the hosts that the plan names
	}
	if err := b.put(kindDeploy, d.ID, d.plan); err != nil {
		// It may be there all the same, and would begin with the next start.
		return nil, errors.Join(err, b.dir.DeleteDoc(kindDeploy, d.ID))
	}
	return d, nil
}

// join takes down the key of who asks for a deploy that is under way.
func (b *books) join(d *deploy, key string, now time.Time) error {
	if key == "" {
		return nil
	}
	return b.keys.put(d.request(key), now)
}

// canFallBack refuses a deploy that is to roll back on failure, and could not.
func (b *books) canFallBack(m release.Manifest, req control.CreateDeploy, now time.Time) error {
	switch {
	case req.OnFailure != release.OnFailureRollback && req.Fallback == nil:
		return nil
	case req.Fallback == nil:
		return usage("", "deploy of %s: on_failure rollback needs a statement of the release to go back to", req.Ref)
	}
	s := req.Fallback.Statement
	back, err := b.release(s.Ref())
	switch {
	case err != nil:
		return err
	case back.Counter != s.Counter || back.SHA256 != s.SHA256:
		return refused(fmt.Sprintf("deploy of %s: the fallback's statement is not about the release %s that is stored here", req.Ref, s.Ref()), "")
	case s.Ref() == m.Ref():
		return refused(fmt.Sprintf("deploy of %s: its fallback is that release itself", req.Ref), "")
	case s.Replaces < m.Counter:
		return refused(fmt.Sprintf("deploy of %s: the fallback's statement replaces releases up to counter %d, this one has %d", req.Ref, s.Replaces, m.Counter), "")
	}
	if err := release.Admit(back.Manifest, &s, m.Counter, release.Digest{}, now); err != nil {
		return refused(fmt.Sprintf("deploy of %s: hosts could not go back: %v", req.Ref, err), "")
	}
	return nil
}

// admissible refuses a deploy that hosts would refuse: of a release that has
// expired, or that is older than what one of them runs, without a statement that
// lets them go back. Each host judges by itself all the same, by all that it has
// ever accepted.
func (b *books) admissible(m release.Manifest, r *control.Rollback, hosts []string, now time.Time) error {
	for _, name := range hosts {
		err := b.admits(b.fleet.hosts[name], m, r, now)
		switch {
		case errors.Is(err, release.ErrOlder):
			return refused(fmt.Sprintf("deploy of %s to %s: %v", m.Ref(), name, err), "crow rollback "+m.App+" --to "+m.Version)
		case err != nil:
			return refused(fmt.Sprintf("deploy of %s: %v", m.Ref(), err), "push the build again under a new version")
		}
	}
	return nil
}

// admits says why a host would refuse a release, by what it runs and has staged. One
// that it runs it has no need to take.
func (b *books) admits(h *host, m release.Manifest, r *control.Rollback, now time.Time) error {
	var statement *release.Rollback
	if r != nil {
		statement = &r.Statement
	}
	highest := uint64(0)
	if h.Running[m.App] != m.Version {
		highest = b.acceptedBy(h, m)
	}
	return release.Admit(m, statement, highest, release.Digest{}, now)
}

// acceptedBy is the highest counter above m's that a host has accepted for all that the
// books know; 0 is none. What it has fetched alone it has accepted too.
func (b *books) acceptedBy(h *host, m release.Manifest) uint64 {
	for _, r := range slices.Backward(b.catalog.releases[m.App]) { // by their counters
		switch {
		case r.Counter <= m.Counter:
			return 0
		case h.Running[m.App] == r.Version || slices.Contains(h.staged[m.App], r.Version):
			return r.Counter
		}
	}
	return 0
}

// release finds what a request names.
func (b *books) release(ref release.Ref) (control.Release, error) {
	if r := b.catalog.find(ref); r != nil {
		return *r, nil
	}
	err := notFound("no release %s", ref)
	err.Hint = "crow releases " + ref.App
	return control.Release{}, err
}

// begin puts a deploy whose plan is on disk into force. It cannot fail: who
// asked for the deploy must not be told that there is none.
func (b *books) begin(d *deploy, now time.Time) {
	before := b.deploys.newest(d.Manifest.App)
	b.deploys.fill(d, result{})
	d.sample = b.deploys.sent(d.Manifest.InfoHash)
	d.dirty, d.saved, d.judged = true, now, now
	b.deploys.add(d)
	b.log.Info("deploy started", zap.String("deploy", d.ID), zap.Stringer("release", d.Manifest.Ref()),
		zap.Stringer("target", d.Selector), zap.Int("hosts", len(d.Hosts)))
	b.expect(d, now)
	b.judge(d, now) // before it is handed out: who may go live at once is told at once
	b.assignApp(d.Manifest.App, now)
	if before != nil {
		b.deploys.publish(before, now) // for those who watch the app, not the deploy
	}
	if err := b.deploys.prune(d.Manifest.App, now); err != nil {
		b.log.Error("old deploys not removed", zap.String("app", d.Manifest.App), zap.Error(err))
	}
}

// zones are the zones of hosts.
func (b *books) zones(hosts []string) []string {
	zones := make([]string, len(hosts))
	for i, name := range hosts {
		if h := b.fleet.hosts[name]; h != nil {
			zones[i] = h.Labels[zoneLabel]
		}
	}
	return zones
}

// zoneLabel is the label that status documents show.
const zoneLabel = "zone"

// selector is the request's; without targets, those of the app's last deploy. What
// that one left out, it left out for once.
func (b *books) selector(req control.CreateDeploy) (release.Selector, error) {
	if len(req.Targets) > 0 {
		return req.Selector, nil
	}
	last := b.deploys.newest(req.App)
	if last == nil {
		return release.Selector{}, usage("--target 'name=*' is every host",
			"deploy of %s: no target, and no earlier deploy of %s to take it from", req.Ref, req.App)
	}
	s := release.Selector{Targets: last.Selector.Targets, Excludes: req.Excludes}
	return s, s.Validate()
}

// resolve returns the names of the hosts that a selector matches, sorted. Hosts
// that said goodbye are not waited for. Each expression of wanted must match
// somebody: one that does not is a slip of the pen.
func (b *books) resolve(s release.Selector, wanted []release.Expr) ([]string, error) {
	if err := b.requireEach(wanted); err != nil {
		return nil, err
	}
	var names []string
	left := 0
	for _, h := range b.fleet.sorted() {
		switch {
		case !s.Match(h.Name, h.Labels):
		case h.State == control.HostLeft:
			left++
		default:
			names = append(names, h.Name)
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	err := b.matchesNone(s.String())
	if left > 0 {
		err.Message += fmt.Sprintf(", of which %d match and have left", left)
	}
	return nil, err
}

// requireEach fails if one of the expressions matches no host at all.
func (b *books) requireEach(wanted []release.Expr) error {
	for _, e := range wanted {
		if !b.fleet.has(e) {
			return b.matchesNone(string(e))
		}
	}
	return nil
}

func (b *books) matchesNone(target string) *control.Error {
	message := fmt.Sprintf("target %s matches no host: %d known", target, len(b.fleet.hosts))
	return &control.Error{Code: control.CodeNoHost, Message: message, Hint: "crow hosts"}
}
