package seeder

import (
	"cmp"
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
	if err := cmp.Or(req.Manifest.Validate(), control.ValidateSignatures(req.Signatures)); err != nil {
		return nil, err
	}
	who, _ := callerOf(r)
	made, err := ask(r.Context(), a.ledger, func(b *books, _ time.Time) (control.Release, error) {
		return b.catalog.create(req, who)
	})
	if !made.Existed {
		a.record(r, control.HistoryEntry{
			Action: control.ActionPush, App: req.Manifest.App, Version: req.Manifest.Version, Message: "sha256 " + req.Manifest.SHA256.String(),
		}, err)
	}
	return made, err
}

func (a *api) addSignatures(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.AddSignatures
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	ref := release.Ref{App: r.PathValue("app"), Version: r.PathValue("version")}
	if err := ref.Validate(); err != nil {
		return nil, err
	}
	who, _ := callerOf(r)
	signed, err := ask(r.Context(), a.ledger, func(b *books, _ time.Time) (control.Release, error) {
		return b.catalog.sign(ref, req.Signatures, who)
	})
	a.record(r, control.HistoryEntry{Action: control.ActionSign, App: ref.App, Version: ref.Version}, err)
	return signed, err
}

func (a *api) removeRelease(_ http.ResponseWriter, r *http.Request) (any, error) {
	ref := release.Ref{App: r.PathValue("app"), Version: r.PathValue("version")}
	if err := ref.Validate(); err != nil {
		return nil, err
	}
	dryRun := r.URL.Query().Get("dry_run") == "true"
	gone, err := ask(r.Context(), a.ledger, func(b *books, _ time.Time) (control.Removed, error) { return b.remove(ref, dryRun) })
	if !dryRun {
		a.record(r, control.HistoryEntry{Action: control.ActionRemove, App: ref.App, Version: ref.Version}, err)
	}
	return gone, err
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
