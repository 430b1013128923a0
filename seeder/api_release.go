package seeder

import (
	"net/http"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func (a *api) upload(w http.ResponseWriter, r *http.Request) (any, error) {
	body := http.MaxBytesReader(w, r.Body, release.MaxArtifactSize)
	blob, err := a.uploads.take(r.Context(), body, r.ContentLength)
	if err != nil {
		return nil, uploadError(err)
	}
	return blob, nil
}

func (a *api) createRelease(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.CreateRelease
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	if err := (release.Ref{App: req.App, Version: req.Version}).Validate(); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.Release, error) {
		return b.catalog.create(req, now)
	})
}

func (a *api) listReleases(_ http.ResponseWriter, r *http.Request) (any, error) {
	app := r.URL.Query().Get("app")
	if app != "" {
		if err := release.ValidateApp(app); err != nil {
			return nil, err
		}
	}
	return ask(r.Context(), a.ledger, func(b *books, _ time.Time) ([]control.Release, error) {
		return b.catalog.list(app), nil
	})
}
