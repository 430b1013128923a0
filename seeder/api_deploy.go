package seeder

import (
	"cmp"
	"net/http"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// createDeploy offers the torrent before hosts learn of it: one that asks the
// tracker too early is refused, and waits before it asks again.
func (a *api) createDeploy(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.CreateDeploy
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	if err := req.Ref.Validate(); err != nil {
		return nil, err
	}
	if err := req.Selector.Validate(); err != nil {
		return nil, err
	}
	if err := validateRollback(req.Rollback, req.Ref); err != nil {
		return nil, err
	}
	var status control.DeployStatus
	err := a.offers.during(r.Context(), req.Ref, func() (err error) {
		status, err = ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.DeployStatus, error) {
			d, err := b.deploy(req, now)
			if err != nil {
				return control.DeployStatus{}, err
			}
			return b.deploys.status(d)
		})
		return err
	})
	e := control.HistoryEntry{
		Action: control.ActionDeploy, App: req.App, Version: req.Version, Deploy: status.Deploy, Message: "target " + req.Selector.String(),
	}
	if req.Rollback != nil {
		e.Action = control.ActionRollback
	}
	a.record(r, e, err)
	return status, err
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
	return follow(r.Context(), a.ledger, p.after, p.wait, func(b *books, _ time.Time) (seen[control.DeployStatus], error) {
		d, err := b.deploys.find(id)
		if err != nil {
			return seen[control.DeployStatus]{}, err
		}
		s, err := b.deploys.status(d)
		return seen[control.DeployStatus]{value: s, revision: s.Revision, changed: d.watch.changed}, err
	})
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
