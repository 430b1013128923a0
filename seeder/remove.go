package seeder

import (
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
)

// remove removes a release that nobody runs or is to run, and its artifact if no
// other release has the same. In a dry run it only says what would go.
func (b *books) remove(ref release.Ref, dryRun bool) (control.Removed, error) {
	r, err := b.release(ref)
	if err != nil {
		return control.Removed{}, err
	}
	if why := b.inUse(ref); why != "" {
		return control.Removed{}, refused(fmt.Sprintf("release %s is not removed: %s", ref, why), "crow status "+ref.App)
	}
	gone := control.Removed{Release: ref, Bytes: r.Size}
	if b.catalog.isShared(r) {
		gone.Bytes = 0
	}
	if dryRun {
		return gone, nil
	}
	return gone, b.catalog.remove(r, gone.Bytes > 0)
}

// inUse says what a release is needed for; empty: for nothing.
func (b *books) inUse(ref release.Ref) string {
	for _, h := range b.fleet.sorted() {
		if h.Running[ref.App] == ref.Version {
			return h.Name + " runs it"
		}
		if d := h.orders[ref.App]; d != nil && d.Manifest.Version == ref.Version {
			return h.Name + " is to run it, by " + d.ID
		}
	}
	for _, d := range b.deploys.byApp[ref.App] {
		if !d.Phase.Ended() && (d.Manifest.Version == ref.Version || d.Fallback != nil && d.Fallback.Statement.Version == ref.Version) {
			return "deploy " + d.ID + " is under way"
		}
	}
	if d := b.standing(ref); d != nil {
		return fmt.Sprintf("hosts to come that match %s are to run it, by %s", d.Selector, d.ID)
	}
	if d := b.deploys.newest(ref.App); d != nil {
		if back := b.previous(d.Manifest, b.known(d.Hosts)); back != nil && back.Version == ref.Version {
			return "hosts would go back to it from " + d.Manifest.Version
		}
	}
	return ""
}

// standing is a deploy of the release that has ended and is in force for hosts which are
// not there yet; nil: there is none. A newer one takes its place where it has the same
// targets, and leaves out the same hosts or none. More cannot be known of labels that
// no host has yet.
func (b *books) standing(ref release.Ref) *deploy {
	taken := map[string]bool{} // targets, with what was left out of them
	for _, d := range slices.Backward(b.deploys.byApp[ref.App]) {
		if !d.Phase.Ended() || !d.isOpen() {
			continue // who knows how one ends that is under way
		}
		but := ""
		if len(d.Selector.Excludes) > 0 {
			but = fmt.Sprint(" but ", d.Selector.Excludes)
		}
		for _, e := range d.Selector.Targets {
			t := string(e)
			isTaken := taken[allHosts] || taken[t] || taken[t+but] || b.isNameOf(e)
			if !isTaken && d.Manifest.Version == ref.Version {
				return d
			}
		}
		for _, e := range d.Selector.Targets {
			taken[string(e)+but] = true
		}
	}
	return nil
}

// allHosts is the target that every host matches.
const allHosts = "name=*"

// isNameOf reports whether a target is the name of a host that is there: what that one
// is to run is known.
func (b *books) isNameOf(e release.Expr) bool {
	name, ok := strings.CutPrefix(string(e), "name=")
	return ok && b.fleet.hosts[name] != nil
}

// known are those of the hosts that are in the books.
func (b *books) known(hosts []string) []string {
	return slices.DeleteFunc(slices.Clone(hosts), func(name string) bool { return b.fleet.hosts[name] == nil })
}

// isShared reports whether another release is made of the same artifact.
func (c *catalog) isShared(r control.Release) bool {
	for _, all := range c.releases {
		for _, other := range all {
			if other.SHA256 == r.SHA256 && other.Ref() != r.Ref() {
				return true
			}
		}
	}
	return false
}

// remove takes the release's document first: without it all else is nothing but
// space, and the next start frees it.
func (c *catalog) remove(r control.Release, artifact bool) error {
	if err := c.dir.DeleteDoc(kindRelease, r.Ref().String()); err != nil {
		return fmt.Errorf("remove release %s: %w", r.Ref(), err)
	}
	c.releases[r.App] = slices.DeleteFunc(c.releases[r.App], func(one control.Release) bool { return one.Version == r.Version })
	if len(c.releases[r.App]) == 0 {
		delete(c.releases, r.App)
	}
	c.log.Info("release removed", zap.Stringer("release", r.Ref()), zap.Stringer("sha256", r.SHA256), zap.Int64("bytes", r.Size))
	if err := c.dir.DeleteDoc(kindSignatures, r.Ref().String()); err != nil {
		return fmt.Errorf("remove signatures of %s: %w", r.Ref(), err)
	}
	if !artifact {
		return nil
	}
	return c.removeBlob(r.SHA256)
}
