package seeder

import (
	"net/http"
	"time"

	"crow/internal/control"
)

func (a *api) changeLimits(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.ChangeHostLimits
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	if err := req.Validate(); err != nil {
		return nil, err
	}
	hosts, err := ask(r.Context(), a.ledger, func(b *books, now time.Time) ([]control.Host, error) {
		return b.changeLimits(req, now)
	})
	a.record(r, control.HistoryEntry{Action: control.ActionLimits, Message: "target " + req.Selector.String()}, err)
	return hosts, err
}

func (a *api) uplink(_ http.ResponseWriter, r *http.Request) (any, error) {
	return ask(r.Context(), a.ledger, func(b *books, _ time.Time) (control.Limits, error) { return b.uplink.limits(), nil })
}

func (a *api) changeUplink(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.ChangeLimits
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	if err := req.Validate(); err != nil {
		return nil, err
	}
	limits, err := ask(r.Context(), a.ledger, func(b *books, _ time.Time) (control.Limits, error) { return b.uplink.change(req) })
	a.record(r, control.HistoryEntry{Action: control.ActionLimits, Message: "of the seeder"}, err)
	return limits, err
}
