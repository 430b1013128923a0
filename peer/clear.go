package peer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"go.uber.org/zap"

	"crow/internal/control"
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
	paths  [][]string          // of what out.Removed has
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
		return found.sorted(), err
	}
	done, err := h.clearOnce(ctx, false)
	found.confirm()
	out := found.sorted()
	out.DryRun, out.Busy, out.Trouble = false, done.out.Busy, done.out.Trouble
	h.log.Info("data_dir was cleared", zap.Int("removed", len(out.Removed)), zap.Int64("bytes", out.Bytes), zap.Any("trouble", out.Trouble))
	return out, err
}

// confirm leaves out what is still there: a job came for it after the look.
func (c *clearing) confirm() {
	found := c.out.Removed
	c.out.Removed, c.out.Bytes = []admin.Item{}, 0
	for i, item := range found {
		if !slices.ContainsFunc(c.paths[i], isThere) {
			c.out.Removed = append(c.out.Removed, item)
			c.out.Bytes += item.Bytes
		}
	}
}

// sorted is the answer.
func (c *clearing) sorted() admin.Cleared {
	slices.SortStableFunc(c.out.Removed, byKind)
	return c.out
}

// clearOnce goes through all apps. One at which a job is keeps what it has, and
// is named; one with trouble keeps nobody else from being cleared.
func (h *host) clearOnce(ctx context.Context, dryRun bool) (*clearing, error) {
	c, nothing := newClearing(h, dryRun), newClearing(h, dryRun)
	var apps []string
	if err := h.ask(ctx, func(a *agent) { apps = slices.Sorted(maps.Keys(a.slots)) }); err != nil {
		return nothing, err
	}
	for _, app := range apps {
		err := c.lentApp(ctx, app)
		if ctx.Err() != nil {
			return nothing, err // a chore may go on with c
		}
		c.trouble(app, err)
	}
	needed := map[release.Digest]bool{}
	err := h.ask(ctx, func(a *agent) {
		for app, s := range a.slots {
			s.needs(needed, c.doomed[app])
		}
	})
	if err == nil {
		c.trouble("", c.artifacts(needed))
	}
	return c, err
}

// trouble notes what kept an app, or without one the cache, from being cleared.
func (c *clearing) trouble(app string, err error) {
	if err == nil {
		return
	}
	c.out.Trouble = append(c.out.Trouble, admin.Trouble{App: app, Error: err.Error()})
}

// lentApp clears one app with the record that the loop lends. To look, a copy of
// it will do.
func (c *clearing) lentApp(ctx context.Context, app string) error {
	var ended chan struct{}
	var trouble, unreadable error
	var copied record
	var versions []string
	looked, live := false, c.layout.leadsTo(app)
	err := c.ask(ctx, func(a *agent) {
		s := a.slots[app]
		switch {
		case s == nil:
			return
		case s.rec.unreadable != nil:
			unreadable = s.rec.unreadable
			return
		case !s.isIdle():
			c.out.Busy = append(c.out.Busy, app)
			return
		}
		versions, copied = s.surplus(c.keep(app), live), s.rec.clone()
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
		return unreadable
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
	if c.out.DryRun {
		c.doomed[app] = versions
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
	c.paths = append(c.paths, paths)
}

// clearAlone does the same where no agent runs, under the lock on data_dir.
func clearAlone(cfg Config, dryRun bool, log *zap.Logger) (out admin.Cleared, err error) {
	l := layout{cfg.DataDir}
	if err := isOwn(l.state()); err != nil {
		return out, err
	}
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
	c := newClearing(h, dryRun)
	c.dead(records, orders)
	return c.sorted(), nil
}

// dead clears all that an agent which does not run has left. The cache is left alone
// if what an app's releases need is not known.
func (c *clearing) dead(records map[string]record, orders control.Orders) {
	needed, known := map[release.Digest]bool{}, true
	for _, o := range orders.Orders {
		needed[o.Manifest.SHA256] = true
	}
	for _, app := range slices.Sorted(maps.Keys(records)) {
		s := &slot{rec: records[app], order: orderOf(orders, app)}
		if s.rec.unreadable != nil {
			known = false
			c.trouble(app, s.rec.unreadable)
			continue
		}
		c.trouble(app, c.app(app, &s.rec, s.surplus(c.keep(app), c.layout.leadsTo(app))))
		s.needs(needed, c.doomed[app])
	}
	if known {
		c.cache.needed.Store(&needed)
		c.trouble("", c.artifacts(needed))
	} else {
		c.trouble("", errNotKnown)
	}
	if !c.out.DryRun {
		c.confirm()
	}
}

// errNotKnown keeps all artifacts.
var errNotKnown = errors.New("left alone, since what that app's releases are made of is not known")

// isOwn refuses to work in another user's state folder: the agent could not read
// what is written there, and would refuse all orders.
func isOwn(folder string) error {
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	if owner := info.Sys().(*syscall.Stat_t).Uid; int(owner) != os.Geteuid() {
		return fmt.Errorf("%w user %d: %s is that of user %d, who has to clear it while no agent runs", release.ErrInvalid, os.Geteuid(), folder, owner)
	}
	return nil
}
