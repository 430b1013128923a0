package seeder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// createDeploy offers the torrent before hosts learn of it: one that asks the
// tracker too early is refused, and waits before it asks again.
func (a *api) createDeploy(w http.ResponseWriter, r *http.Request) (any, error) {
	req, err := readDeploy(w, r)
	if err != nil {
		return nil, err
	}
	status, known, err := a.keyed(r.Context(), req)
	if known {
		return status, nil // in the history it would be the newest deploy, and a rollback go by that
	}
	if err == nil {
		err = a.offers.during(r.Context(), req.Ref, func() (err error) {
			status, err = ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.DeployStatus, error) {
				d, err := b.deploy(req, now)
				if err != nil {
					return control.DeployStatus{}, err
				}
				return b.deploys.status(d)
			})
			return err
		})
	}
	hosts := req.Selector
	if err == nil {
		hosts = status.Target // those of the app's last deploy, if the request names none
	}
	e := control.HistoryEntry{
		Action: control.ActionDeploy, App: req.App, Version: req.Version, Deploy: status.Deploy, Message: describe(req, hosts),
	}
	if req.Rollback != nil {
		e.Action = control.ActionRollback
	}
	a.record(r, e, err)
	return status, err
}

// keyedDeploy answers who wants to know whether a key is known before he moves a build.
func (a *api) keyedDeploy(w http.ResponseWriter, r *http.Request) (any, error) {
	req, err := readDeploy(w, r)
	if err != nil {
		return nil, err
	}
	status, known, err := a.keyed(r.Context(), req)
	if err == nil && !known {
		err = notFound("deploy of %s: no deploy of %s has the idempotency key %q", req.Ref, req.App, req.Key)
	}
	return status, err
}

// keyed is the deploy that the request's idempotency key is of, if it is known. Nothing
// of it is looked at again: its release may be gone, and its hosts too.
func (a *api) keyed(ctx context.Context, req control.CreateDeploy) (status control.DeployStatus, known bool, err error) {
	if req.Key == "" {
		return status, false, nil
	}
	type found struct {
		status *control.DeployStatus
		old    archived
	}
	f, err := ask(ctx, a.ledger, func(b *books, _ time.Time) (f found, err error) {
		id, err := b.keyed(req)
		if id == "" || err != nil {
			return f, err
		}
		if d := b.deploys.byID[id]; d != nil {
			s, err := b.deploys.status(d)
			return found{status: &s}, err
		}
		f.old, _ = b.deploys.archive.locate(id)
		return f, nil
	})
	switch {
	case err != nil:
		return status, false, err
	case f.status != nil:
		return *f.status, true, nil
	case f.old.id != "":
		status, err = a.env.recall(f.old)
		return status, err == nil, err
	}
	return status, false, nil
}

// readDeploy reads and checks a request for a deploy.
func readDeploy(w http.ResponseWriter, r *http.Request) (req control.CreateDeploy, err error) {
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return req, err
	}
	return req, validateDeploy(req)
}

func validateDeploy(req control.CreateDeploy) error {
	if len(req.Key) > control.MaxKeyLen || release.Printable(req.Key) != req.Key {
		return usage("", "deploy of %s: idempotency key: want at most %d bytes of plain text", req.Ref, control.MaxKeyLen)
	}
	if err := cmp.Or(req.Ref.Validate(), req.Selector.Validate(), req.Rollout.Validate(), validateRollback(req.Rollback, req.Ref)); err != nil {
		return err
	}
	if f := req.Fallback; f != nil {
		return cmp.Or(f.Statement.Validate(), control.ValidateSignatures(f.Signatures), sameApp(f.Statement.App, req.Ref))
	}
	return nil
}

func sameApp(app string, ref release.Ref) error {
	if app == ref.App {
		return nil
	}
	return usage("", "deploy of %s: its fallback is of app %s", ref, app)
}

// describe is a deploy's request, to the hosts, as the history tells it.
func describe(req control.CreateDeploy, hosts release.Selector) string {
	text := "target " + hosts.String()
	if len(req.Waves) > 0 {
		text += fmt.Sprintf(", waves %s", req.Waves)
	}
	if req.FetchOnly {
		text += ", fetch only"
	}
	return text
}

func (a *api) planDeploy(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.PlanDeploy
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	if err := cmp.Or(validateDeploy(req.CreateDeploy), validateArtifact(req.Artifact)); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.DeployPlan, error) { return b.preview(req, now) })
}

func validateArtifact(a *control.Artifact) error {
	if a != nil && (a.Bytes < 1 || a.Bytes > release.MaxArtifactSize || a.SHA256.IsZero()) {
		return usage("", "plan: the artifact wants its sha256 and its size, 1 to %d bytes", int64(release.MaxArtifactSize))
	}
	return nil
}

var verbs = []control.Verb{control.VerbPause, control.VerbResume, control.VerbAbort, control.VerbRetry}

// steer offers the torrent before hosts are told to try again.
func (a *api) steer(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.Steer
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	if !slices.Contains(verbs, req.Verb) {
		return nil, usage("", "steer %.80q: unknown verb %.40q", r.PathValue("id"), string(req.Verb))
	}
	d, err := ask(r.Context(), a.ledger, func(b *books, _ time.Time) (plan, error) {
		d, err := b.deploys.find(r.PathValue("id"))
		if err != nil {
			return plan{}, err
		}
		return d.plan, nil
	})
	if err != nil {
		a.record(r, control.HistoryEntry{Action: string(req.Verb)}, err)
		return nil, err
	}
	var status control.DeployStatus
	turn := func() (err error) {
		status, err = ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.DeployStatus, error) {
			return b.steered(d.ID, req, callerName(r), now)
		})
		return err
	}
	if req.Verb == control.VerbRetry {
		err = a.offers.during(r.Context(), d.Manifest.Ref(), turn)
	} else {
		err = turn()
	}
	a.record(r, control.HistoryEntry{Action: string(req.Verb), App: d.Manifest.App, Version: d.Manifest.Version, Deploy: d.ID}, err)
	return status, err
}

func callerName(r *http.Request) string {
	who, _ := callerOf(r)
	return who
}

func (a *api) appStatus(_ http.ResponseWriter, r *http.Request) (any, error) {
	return ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.AppStatus, error) { return b.app(r.PathValue("app"), now) })
}

func (a *api) forget(_ http.ResponseWriter, r *http.Request) (any, error) {
	name := r.PathValue("name")
	h, err := ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.Host, error) { return b.forget(name, now) })
	a.record(r, control.HistoryEntry{Action: control.ActionForget, Message: "host " + name}, err)
	return h, err
}

// validateRollback also wants the statement to be for the release that is asked
// for.
func validateRollback(r *control.Rollback, ref release.Ref) error {
	switch {
	case r == nil:
		return nil
	case r.Statement.Ref() != ref:
		return usage("", "deploy of %s: the rollback statement is for %s", ref, r.Statement.Ref())
	}
	return cmp.Or(r.Statement.Validate(), control.ValidateSignatures(r.Signatures))
}

func (a *api) deployStatus(_ http.ResponseWriter, r *http.Request) (any, error) {
	p, err := readPoll(r)
	if err != nil {
		return nil, err
	}
	id := r.PathValue("id")
	s, err := follow(r.Context(), a.ledger, p.after, p.wait, func(b *books, _ time.Time) (seen[control.DeployStatus], error) {
		d, err := b.deploys.find(id)
		if err != nil {
			return seen[control.DeployStatus]{}, err
		}
		s, err := b.deploys.status(d)
		return seen[control.DeployStatus]{value: s, revision: s.Revision, changed: d.watch.changed}, err
	})
	if e, ok := errors.AsType[*control.Error](err); ok && e.Code == control.CodeNotFound {
		return a.archived(r.Context(), id, err)
	}
	return s, err
}

// archived is the status of a deploy that is only in the archive; if it is not there
// either the error is the one given.
func (a *api) archived(ctx context.Context, id string, missing error) (control.DeployStatus, error) {
	one, err := ask(ctx, a.ledger, func(b *books, _ time.Time) (archived, error) {
		if one, ok := b.deploys.archive.locate(id); ok {
			return one, nil
		}
		return archived{}, missing
	})
	if err != nil {
		return control.DeployStatus{}, err
	}
	return a.env.recall(one)
}

func (a *api) listHosts(_ http.ResponseWriter, r *http.Request) (any, error) {
	var s release.Selector
	for _, target := range r.URL.Query()["target"] {
		s.Targets = append(s.Targets, release.Expr(target))
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, _ time.Time) ([]control.Host, error) {
		list := []control.Host{}
		for _, h := range b.fleet.sorted() {
			if len(s.Targets) == 0 || s.Match(h.Name, h.Labels) {
				list = append(list, h.Host)
			}
		}
		return list, nil
	})
}
