package seeder

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
)

// catalog is the part of the books about artifacts and the releases made of
// them. A release, once created, never changes; what it can get is more signatures,
// and it goes away only when an operator removes it.
type catalog struct {
	*env
	blobs    map[release.Digest]*stored
	releases map[string][]control.Release // by app, in the order of their counters
}

// loadCatalog reads the catalog and removes artifacts that no release is of:
// whoever was about to make one has seen the seeder go away.
func loadCatalog(e *env) (*catalog, error) {
	c := &catalog{env: e, blobs: map[release.Digest]*stored{}, releases: map[string][]control.Release{}}
	if err := errors.Join(c.loadReleases(), c.loadBlobs()); err != nil {
		return nil, err
	}
	return c, errors.Join(c.sweep(e.started, 0), c.sweepUnrecorded())
}

// loadReleases stops at a damaged document: to go on without it would let its
// version be made again with other content.
func (c *catalog) loadReleases() error {
	names, err := c.dir.ListDocs(kindRelease)
	if err != nil {
		return err
	}
	for _, name := range names {
		r, err := c.loadRelease(name)
		if err != nil {
			return fmt.Errorf("read release %s: %w", name, err)
		}
		c.releases[r.App] = append(c.releases[r.App], r)
	}
	for _, all := range c.releases {
		sortByCounter(all)
	}
	return nil
}

func sortByCounter(all []control.Release) {
	slices.SortFunc(all, func(a, b control.Release) int { return cmp.Compare(a.Counter, b.Counter) })
}

func (c *catalog) loadRelease(name string) (r control.Release, err error) {
	b, err := c.dir.GetDoc(kindRelease, name)
	if err != nil {
		return r, err
	}
	if r.Manifest, err = release.DecodeManifest(b); err != nil {
		return r, &docError{kindRelease, name, err}
	}
	if r.Ref().String() != name {
		return r, &docError{kindRelease, name, fmt.Errorf("it is the manifest of %s", r.Ref())}
	}
	r.Signatures, err = c.loadSignatures(name)
	return r, err
}

// create makes a release of a stored artifact. The same again finds the first
// one, and may add signatures to it; anything that contradicts what is stored is
// refused.
func (c *catalog) create(req control.CreateRelease, by string) (control.Release, error) {
	m := req.Manifest
	if r := c.find(m.Ref()); r != nil {
		return c.again(r, req)
	}
	blob, ok := c.blobs[m.SHA256]
	if !ok {
		return control.Release{}, notFound("no artifact %s is stored: upload it first", m.SHA256)
	}
	if field := contradiction(blob.Blob, control.BlobOf(m)); field != "" {
		return control.Release{}, refused("release "+m.Ref().String()+": "+field+" is not that of the artifact as it arrived",
			"the artifact changed on its way or while it was read: push it again")
	}
	if err := c.requireOwn(m); err != nil {
		return control.Release{}, err
	}
	signatures, err := c.putSigned(m.Ref(), join(nil, req.Signatures, by))
	if err == nil {
		err = c.putRelease(m)
	}
	if err != nil {
		return control.Release{}, err
	}
	r := control.Release{Manifest: m, Signatures: signatures}
	c.releases[m.App] = append(c.releases[m.App], r)
	sortByCounter(c.releases[m.App])
	c.log.Info("release created", zap.Stringer("release", m.Ref()), zap.Uint64("counter", m.Counter),
		zap.Stringer("sha256", m.SHA256), zap.Int64("bytes", m.Size), zap.Int("signatures", len(r.Signatures)))
	return r, nil
}

// maxCounter bounds counters: the times that crow makes them of reach it in the year
// 2106.
const maxCounter = 1<<32 - 1

// requireOwn refuses a counter that another release of the app has: hosts tell by it
// what is older than what. Who signed the others is not for the seeder to say, so a
// release need not be above them: one that nobody trusts would else stop all later ones.
func (c *catalog) requireOwn(m release.Manifest) error {
	if m.Counter > maxCounter {
		return usage("", "release %s: its counter is %d, at most %d is allowed: it would leave no room for later ones", m.Ref(), m.Counter, uint64(maxCounter))
	}
	for _, r := range c.releases[m.App] {
		if r.Counter == m.Counter {
			return &control.Error{
				Code: control.CodeStale, Hint: "push again",
				Message: fmt.Sprintf("release %s: its counter %d is that of %s already", m.Ref(), m.Counter, r.Ref()),
			}
		}
	}
	return nil
}

func (c *catalog) putRelease(m release.Manifest) error {
	b, err := m.Encode()
	if err != nil {
		return err
	}
	return c.dir.PutDoc(kindRelease, m.Ref().String(), b)
}

// again answers a request for a release that exists. Who asks may have another
// counter and time in mind, and no signature over them is of use.
func (c *catalog) again(r *control.Release, req control.CreateRelease) (control.Release, error) {
	if r.SHA256 != req.Manifest.SHA256 {
		return control.Release{}, refused(
			fmt.Sprintf("release %s exists with other content: its sha256 is %s, this one's %s", r.Ref(), r.SHA256, req.Manifest.SHA256),
			"releases never change: push this build under another version")
	}
	if field := contradiction(control.BlobOf(r.Manifest), control.BlobOf(req.Manifest)); field != "" {
		return control.Release{}, refused(fmt.Sprintf("release %s exists with another %s", r.Ref(), field), "")
	}
	found := *r
	found.Existed = true
	return found, nil
}

// contradiction names the first field in which a claim about an artifact
// differs from what is known of it; none: empty.
func contradiction(known, claimed control.Blob) string {
	switch {
	case known.SHA256 != claimed.SHA256:
		return "sha256"
	case known.Size != claimed.Size:
		return "size"
	case known.Format != claimed.Format:
		return "format"
	case known.InfoHash != claimed.InfoHash:
		return "infohash"
	case known.PieceLength != claimed.PieceLength:
		return "piece length"
	}
	return ""
}

// find returns nil if there is no such release.
func (c *catalog) find(ref release.Ref) *control.Release {
	all := c.releases[ref.App]
	i := slices.IndexFunc(all, func(r control.Release) bool { return r.Version == ref.Version })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// highest is the highest counter of an app's releases: what a host may have accepted.
func (c *catalog) highest(app string) (counter uint64) {
	for _, r := range c.releases[app] {
		counter = max(counter, r.Counter)
	}
	return counter
}

// list returns the releases of an app, or with an empty name of all apps,
// newest first.
func (c *catalog) list(app string) []control.Release {
	list := []control.Release{}
	for name, all := range c.releases {
		if app == "" || app == name {
			list = append(list, all...)
		}
	}
	slices.SortFunc(list, func(a, b control.Release) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.App, b.App), cmp.Compare(b.Counter, a.Counter))
	})
	return list
}
