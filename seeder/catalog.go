package seeder

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
)

// catalog is the part of the books about artifacts and the releases made of
// them. A release, once created, never changes and never goes away.
type catalog struct {
	*env
	blobs    map[release.Digest]*stored
	releases map[string][]release.Manifest // by app, in the order of their counters
}

// loadCatalog reads the catalog and removes artifacts that no release is of:
// whoever was about to make one has seen the seeder go away.
func loadCatalog(e *env) (*catalog, error) {
	c := &catalog{env: e, blobs: map[release.Digest]*stored{}, releases: map[string][]release.Manifest{}}
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
		b, err := c.dir.GetDoc(kindRelease, name)
		if err != nil {
			return err
		}
		m, err := release.DecodeManifest(b)
		if err != nil {
			return fmt.Errorf("read release %s: %w", name, err)
		}
		c.releases[m.App] = append(c.releases[m.App], m)
	}
	for _, all := range c.releases {
		slices.SortFunc(all, func(a, b release.Manifest) int { return cmp.Compare(a.Counter, b.Counter) })
	}
	return nil
}

// create makes a release of a stored artifact. The same again finds the first
// one; anything that contradicts what is stored is refused.
func (c *catalog) create(req control.CreateRelease, now time.Time) (control.Release, error) {
	ref := release.Ref{App: req.App, Version: req.Version}
	if m, ok := c.find(ref); ok {
		return again(m, req.Blob)
	}
	blob, ok := c.blobs[req.Blob.SHA256]
	if !ok {
		return control.Release{}, notFound("no artifact %s is stored: upload it first", req.Blob.SHA256)
	}
	if field := contradiction(blob.Blob, req.Blob); field != "" {
		return control.Release{}, refused("release "+ref.String()+": "+field+" is not that of the artifact as it arrived",
			"the artifact changed on its way or while it was read: push it again")
	}
	m := c.manifest(ref, blob.Blob, now)
	if err := c.putRelease(m); err != nil {
		return control.Release{}, err
	}
	c.releases[m.App] = append(c.releases[m.App], m)
	c.log.Info("release created", zap.Stringer("release", ref), zap.Uint64("counter", m.Counter),
		zap.Stringer("sha256", m.SHA256), zap.Int64("bytes", m.Size))
	return control.Release{Manifest: m}, nil
}

func (c *catalog) manifest(ref release.Ref, b control.Blob, now time.Time) release.Manifest {
	counter := uint64(1)
	if all := c.releases[ref.App]; len(all) > 0 {
		counter = all[len(all)-1].Counter + 1
	}
	return release.Manifest{
		Schema: release.ManifestSchema, App: ref.App, Version: ref.Version, Counter: counter,
		SHA256: b.SHA256, Size: b.Size, Format: b.Format, InfoHash: b.InfoHash, PieceLength: b.PieceLength,
		Created: now.UTC().Truncate(time.Second),
	}
}

func (c *catalog) putRelease(m release.Manifest) error {
	b, err := m.Encode()
	if err != nil {
		return err
	}
	return c.dir.PutDoc(kindRelease, m.Ref().String(), b)
}

// again answers a request for a release that exists.
func again(m release.Manifest, claimed control.Blob) (control.Release, error) {
	if m.SHA256 != claimed.SHA256 {
		return control.Release{}, refused(
			fmt.Sprintf("release %s exists with other content: its sha256 is %s, this one's %s", m.Ref(), m.SHA256, claimed.SHA256),
			"releases never change: push this build under another version")
	}
	if field := contradiction(blobOf(m), claimed); field != "" {
		return control.Release{}, refused(fmt.Sprintf("release %s exists with another %s", m.Ref(), field), "")
	}
	return control.Release{Manifest: m, Existed: true}, nil
}

func blobOf(m release.Manifest) control.Blob {
	return control.Blob{SHA256: m.SHA256, Size: m.Size, Format: m.Format, InfoHash: m.InfoHash, PieceLength: m.PieceLength}
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

func (c *catalog) find(ref release.Ref) (release.Manifest, bool) {
	all := c.releases[ref.App]
	i := slices.IndexFunc(all, func(m release.Manifest) bool { return m.Version == ref.Version })
	if i < 0 {
		return release.Manifest{}, false
	}
	return all[i], true
}

// list returns the releases of an app, or with an empty name of all apps,
// newest first.
func (c *catalog) list(app string) []control.Release {
	list := []control.Release{}
	for name := range maps.Keys(c.releases) {
		if app != "" && app != name {
			continue
		}
		for _, m := range c.releases[name] {
			list = append(list, control.Release{Manifest: m})
		}
	}
	slices.SortFunc(list, func(a, b control.Release) int {
		return cmp.Or(b.Created.Compare(a.Created), cmp.Compare(a.App, b.App), cmp.Compare(b.Counter, a.Counter))
	})
	return list
}
