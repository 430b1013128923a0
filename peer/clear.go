package peer

import (
	"context"
	"errors"
	"maps"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"crow/internal/release"
	"crow/internal/store"
	"crow/peer/admin"
)

// clearing removes what nobody needs from data_dir, app by app and then from
// the cache, or says what that is.
type clearing struct {
	*host
	freed  freed
	out    admin.Cleared
	doomed map[string][]string // versions by app
}

func newClearing(h *host, dryRun bool) *clearing {
	return &clearing{
		host: h, freed: freed{}, doomed: map[string][]string{},
		out: admin.Cleared{Schema: admin.Schema, DryRun: dryRun, Removed: []admin.Item{}, Busy: []string{}},
	}
}

// clear is what the agent does when it is asked to. It looks first, and then
// removes: as soon as a release is gone, the keeper sweeps its artifact away.
func (h *host) clear(ctx context.Context, dryRun bool) (admin.Cleared, error) {
	found, err := h.clearOnce(ctx, true)
	if err != nil || dryRun {
		return found, err
	}
	done, err := h.clearOnce(ctx, false)
	found.DryRun, found.Busy = false, done.Busy
	h.log.Info("data_dir was cleared", zap.Int("removed", len(found.Removed)), zap.Int64("bytes", found.Bytes))
	return found, err
}

// clearOnce goes through all apps. One at which a job is keeps what it has, and
// is named.
func (h *host) clearOnce(ctx context.Context, dryRun bool) (admin.Cleared, error) {
	c := newClearing(h, dryRun)
	var apps []string
	if err := h.ask(ctx, func(a *agent) { apps = slices.Sorted(maps.Keys(a.slots)) }); err != nil {
		return admin.Cleared{}, err
	}
	for _, app := range apps {
		if err := c.lentApp(ctx, app); err != nil {
			return admin.Cleared{}, err // a chore may go on with c
		}
	}
	needed := map[release.Digest]bool{}
	err := h.ask(ctx, func(a *agent) {
		for app, s := range a.slots {
			s.needs(needed, c.doomed[app])
		}
	})
	if err == nil {
		err = c.artifacts(needed)
	}
	return c.out, err
}

// lentApp clears one app with the record that the loop lends. To look, a copy of
// it will do.
func (c *clearing) lentApp(ctx context.Context, app string) error {
	var ended chan struct{}
	var trouble error
	var copied record
	var versions []string
	looked := false
	err := c.ask(ctx, func(a *agent) {
		s := a.slots[app]
		switch {
		case s == nil:
			return
		case !s.isIdle() || s.rec.unreadable != nil:
			c.out.Busy = append(c.out.Busy, app)
			return
		}
		versions, copied = s.surplus(c.keep(app)), s.rec.clone()
		if looked = c.out.DryRun; !looked {
			ended = a.chore(app, func(rec *record) { trouble = c.app(app, rec, versions) })
		}
	})
	switch {
	case err != nil:
		return err
	case ended != nil:
		return wait(ctx, ended, &trouble)
	case !looked:
		return nil
	}
	return c.app(app, &copied, versions)
}

// wait is for a chore to end, and returns the trouble that it had.
func wait(ctx context.Context, ended <-chan struct{}, trouble *error) error {
	select {
	case <-ended:
		return *trouble
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (h *host) keep(app string) int {
	a, _ := h.cfg.app(app)
	return int(a.Keep)
}

// app clears an app's folder of these versions and of leftovers.
func (c *clearing) app(app string, rec *record, versions []string) error {
	folder := c.layout.app(app)
	left, err := strays(folder, *rec)
	if err != nil {
		return err
	}
	for _, version := range versions {
		c.note(admin.Release, admin.RefName(app, version), filepath.Join(folder, version))
	}
	for _, name := range left {
		c.note(admin.Leftover, app+"/"+name, filepath.Join(folder, name))
	}
	c.doomed[app] = versions
	if c.out.DryRun {
		return nil
	}
	return errors.Join(c.drop(app, rec, versions...), tidy(folder, *rec))
}

// artifacts clears the cache of all but what is needed, and of what a job or the
// keeper is at.
func (c *clearing) artifacts(needed map[release.Digest]bool) error {
	whole, parts, err := c.cache.list()
	if err != nil {
		return err
	}
	there := map[release.Digest]bool{}
	for _, d := range slices.Concat(whole, parts) {
		there[d] = true
	}
	for d := range there {
		if !needed[d] && !c.cache.isHeld(d) {
			c.note(admin.Artifact, d.String(), c.cache.files(d)...)
		}
	}
	slices.SortStableFunc(c.out.Removed, byKind)
	if c.out.DryRun {
		return nil
	}
	return c.cache.sweep()
}

// note adds what is removed, with the disk that it takes, to the answer.
func (c *clearing) note(kind admin.Kind, name string, paths ...string) {
	n := int64(0)
	for _, path := range paths {
		n += c.freed.add(path)
	}
	c.out.Removed = append(c.out.Removed, admin.Item{Kind: kind, Name: name, Bytes: n})
	c.out.Bytes += n
}

// clearAlone does the same where no agent runs, under the lock on data_dir.
func clearAlone(cfg Config, dryRun bool, log *zap.Logger) (out admin.Cleared, err error) {
	l := layout{cfg.DataDir}
	docs, err := store.Open(l.state(), log)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, docs.Close()) }()
	s := state{docs: docs, log: log}
	records, err := s.apps(l)
	if err != nil {
		return out, err
	}
	h := &host{cfg: cfg, layout: l, state: s, cache: newCache(l.cache(), s, nobody{}, log), log: log}
	orders := sane(s.orders(), log)
	c, needed := newClearing(h, dryRun), map[release.Digest]bool{}
	for _, app := range slices.Sorted(maps.Keys(records)) {
		if err := c.deadApp(&slot{rec: records[app], order: orderOf(orders, app)}, app, needed); err != nil {
			return c.out, err
		}
	}
	for _, o := range orders.Orders {
		needed[o.Manifest.SHA256] = true
	}
	h.cache.needed.Store(&needed)
	err = c.artifacts(needed)
	return c.out, err
}

// deadApp clears the app of an agent that does not run, and says what it needs.
func (c *clearing) deadApp(s *slot, app string, needed map[release.Digest]bool) error {
	if s.rec.unreadable != nil {
		return s.rec.unreadable // what its releases need is not known
	}
	versions := s.surplus(c.keep(app))
	s.needs(needed, versions)
	return c.app(app, &s.rec, versions)
}
