package peer

import (
	"context"
	"errors"

	"go.uber.org/zap"

	"crow/internal/store"
	"crow/peer/stage"
)

// claim has the disk keep room for the rest of the job: what is yet to be
// downloaded, and what staging needs. Where the budget does not allow it, room
// is made first.
func (j *job) claim(ctx context.Context, c claim) error {
	if m := j.order.Manifest; !j.isStaged() {
		c.staging = stage.Estimate(m.Format, m.Size, j.app.Unpack)
	}
	again := func() error { return j.disk.claim(j.name(), c) }
	if err := again(); !errors.Is(err, errOverBudget) {
		return err
	}
	return j.makeRoom(ctx, again)
}

// makeRoom drops what the host can do without until the claim is within the
// budget: artifacts that nobody needs, then releases beyond the live, the previous
// and the ordered one of each app, the longest unused first, whatever keep says.
// An app with a job under way keeps what it has.
func (j *job) makeRoom(ctx context.Context, again func() error) error {
	for {
		if err := j.cache.sweep(); err != nil {
			j.log.Warn("could not clear the cache", zap.Error(err))
		}
		err := again()
		if !errors.Is(err, errOverBudget) {
			return err
		}
		dropped, dropErr := j.dropOldest(ctx)
		if dropErr != nil {
			return errors.Join(err, dropErr)
		}
		if !dropped {
			return err
		}
	}
}

// dropOldest removes one release; false if there is none to spare.
func (j *job) dropOldest(ctx context.Context) (dropped bool, err error) {
	live, err := j.live(ctx)
	if err != nil {
		return false, err
	}
	var app, version string
	var ended chan struct{}
	var trouble error
	err = j.ask(ctx, func(a *agent) {
		if app, version = a.oldestSpare(j.name(), live); version == "" || app == j.name() {
			return
		}
		ended = a.chore(app, func(rec *record) { trouble = j.drop(app, rec, version) })
	})
	switch {
	case err != nil || version == "":
		return false, err
	case app == j.name():
		trouble = j.drop(app, &j.rec, version)
		j.tell()
		err = j.ask(ctx, (*agent).needs)
		return true, errors.Join(trouble, err)
	}
	if ended == nil { // a job took it just now
		return true, nil
	}
	return true, wait(ctx, ended, &trouble)
}

// live is where the links of all apps lead, by app. Somebody may have set one since
// the lookout's last look.
func (h *host) live(ctx context.Context) (map[string]string, error) {
	live := map[string]string{}
	err := h.ask(ctx, func(a *agent) {
		for app := range a.slots {
			live[app] = ""
		}
	})
	for app := range live {
		live[app] = h.layout.leadsTo(app)
	}
	return live, err
}

// oldestSpare is the release that was unused for longest of those that can be
// spared, for a job of an app whose record the job has.
func (a *agent) oldestSpare(own string, live map[string]string) (app, version string) {
	var oldest placed
	for name, s := range a.slots {
		if !s.isIdle() && name != own {
			continue
		}
		for _, v := range s.surplus(0, live[name]) {
			if p := s.rec.Staged[v]; version == "" || p.Used.Before(oldest.Used) {
				app, version, oldest = name, v, p
			}
		}
	}
	return app, version
}

// drop removes releases from an app's folder and its record.
func (h *host) drop(app string, rec *record, versions ...string) error {
	if len(versions) == 0 {
		return nil
	}
	var trouble error
	for _, version := range versions {
		trouble = errors.Join(trouble, aside(h.layout.app(app), version))
		if !isThere(h.layout.release(app, version)) { // else it would be nobody's from now on
			delete(rec.Staged, version)
		}
	}
	h.log.Info("old releases removed", zap.String("app", app), zap.Strings("versions", versions))
	return store.Explain(errors.Join(trouble, h.state.putApp(app, *rec)))
}
