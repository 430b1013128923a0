package seeder

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/rollout"
)

// preview says what a deploy would do. It goes by what hosts last said of
// themselves; each judges by itself when it has the order.
func (b *books) preview(req control.PlanDeploy, now time.Time) (control.DeployPlan, error) {
	r, err := b.release(req.Ref)
	if err != nil && req.Artifact == nil {
		return control.DeployPlan{}, err
	}
	if err != nil {
		r = b.unborn(req)
	}
	selector, err := b.selector(req.CreateDeploy)
	if err != nil {
		return control.DeployPlan{}, err
	}
	hosts, err := b.resolve(selector, req.Targets)
	if err != nil {
		return control.DeployPlan{}, err
	}
	d := b.deploys.open(plan{Manifest: r.Manifest, Hosts: hosts, Rollout: req.Rollout, Turns: rollout.Turns(b.zones(hosts))})
	p := control.DeployPlan{
		App: r.App, Version: r.Version, Target: selector, Rollout: req.Rollout,
		Artifact: control.Artifact{SHA256: r.SHA256, Bytes: r.Size}, Previous: b.previous(r.Manifest, hosts),
	}
	last := 0
	for _, end := range d.program.WaveEnds {
		p.Waves, last = append(p.Waves, end-last), end
	}
	wave := d.waveOf()
	for _, name := range hosts {
		h := b.plannedHost(b.fleet.hosts[name], r.Manifest, req.Rollback, now)
		h.Wave = wave[name]
		p.Hosts = append(p.Hosts, h)
		p.Bytes += h.Bytes
		p.Changes = p.Changes || h.Running != r.Version && (h.Refuses == "" || h.State == control.HostFailed) // who is off does it later
	}
	slices.SortStableFunc(p.Hosts, func(a, b control.PlannedHost) int { return cmp.Compare(a.Wave, b.Wave) })
	p.Same, p.Running = b.rivals(r, req.CreateDeploy, selector, hosts, now)
	return p, nil
}

// unborn is the release that the next one of an app would be, as far as a plan goes by
// it: nobody has it, and it is newer than all.
func (b *books) unborn(req control.PlanDeploy) control.Release {
	return control.Release{Manifest: release.Manifest{
		App: req.Ref.App, Version: req.Ref.Version, Counter: b.catalog.highest(req.Ref.App) + 1,
		SHA256: req.Artifact.SHA256, Size: req.Artifact.Bytes, Format: req.Format,
	}}
}

// rivals are the deploy under way that the request would be, and the one whose place it
// would take.
func (b *books) rivals(r control.Release, req control.CreateDeploy, s release.Selector, hosts []string, now time.Time) (same, running string) {
	if d := b.same(r, req, s, hosts, now); d != nil {
		return d.ID, ""
	}
	for _, d := range b.deploys.byApp[r.App] {
		if !d.Phase.Ended() && slices.ContainsFunc(hosts, d.counts) {
			running = d.ID
		}
	}
	return "", running
}

// plannedHost is what a deploy would do to a host.
func (b *books) plannedHost(h *host, m release.Manifest, back *control.Rollback, now time.Time) control.PlannedHost {
	p := control.PlannedHost{
		Name: h.Name, Zone: h.Labels[zoneLabel], State: h.State, Running: h.Running[m.App], Free: h.Free,
		Bytes: m.Size, Disk: m.Size, Unpacks: m.Format.Unpacked(m.Size),
	}
	if slices.Contains(h.staged[m.App], m.Version) || p.Running == m.Version {
		p.Bytes, p.Disk, p.Unpacks = 0, 0, 0
	}
	switch err := b.admits(h, m, back, now); {
	case err != nil:
		p.Refuses = err.Error()
	case !slices.Contains(h.Apps, m.App) && !slices.Contains(h.Apps, anyApp):
		p.Refuses = fmt.Sprintf("app %q is not in its config", m.App)
	case p.Free != nil && *p.Free < p.Disk:
		in := release.Apart(p.Disk, *p.Free)
		p.Refuses = fmt.Sprintf("disk: %s free, at least %s needed", in(*p.Free), in(p.Disk))
	case h.State == control.HostFailed:
		p.Refuses = "not reachable: last heard at " + h.LastSeen.UTC().Format(time.RFC3339)
	}
	return p
}

// previous is the release that the hosts would go back to: the one that most of those
// run which run another; if none does, the last other one that a deploy brought to one
// of them; nil if there is none.
func (b *books) previous(m release.Manifest, hosts []string) *release.Manifest {
	running := map[string]int{}
	for _, name := range hosts {
		running[b.fleet.hosts[name].Running[m.App]]++
	}
	most := 0
	var back *release.Manifest                    // a copy, as below: the catalog goes on without who reads this
	for _, r := range b.catalog.releases[m.App] { // by their counters: of two that as many run, the newer
		if n := running[r.Version]; n > 0 && n >= most && r.Version != m.Version {
			most, back = n, &r.Manifest
		}
	}
	if back != nil {
		return back
	}
	return b.deployedBefore(m, hosts)
}

// deployedBefore is the last other release that a deploy brought to one of the hosts.
func (b *books) deployedBefore(m release.Manifest, hosts []string) *release.Manifest {
	for _, d := range slices.Backward(b.deploys.byApp[m.App]) {
		if d.Phase != release.DeploySucceeded || d.Rollout.FetchOnly || d.Manifest.Version == m.Version {
			continue
		}
		if r, err := b.release(d.Manifest.Ref()); err == nil && slices.ContainsFunc(hosts, d.counts) {
			return &r.Manifest
		}
	}
	return nil
}
