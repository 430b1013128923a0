package seeder

import (
	"net/http"
	"time"

	"crow/internal/control"
)

// rotateGossipKey wants TLS, as the new key travels with the orders.
func (a *api) rotateGossipKey(w http.ResponseWriter, r *http.Request) (any, error) {
	var req control.RotateGossipKey
	if err := read(w, r, control.MaxBodyLen, &req); err != nil {
		return nil, err
	}
	if r.TLS == nil {
		return nil, usage("", "rotating the gossip key needs tls: the new key would travel in the clear")
	}
	spread, grace := secondsOf(req.SpreadSeconds), secondsOf(req.GraceSeconds)
	rotation, err := ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.GossipRotation, error) {
		return b.rotateGossipKey(spread, grace, now)
	})
	a.record(r, control.HistoryEntry{Action: control.ActionRotate}, err)
	return rotation, err
}

// secondsOf does not overflow: what is too much stays too much.
func secondsOf(n int64) time.Duration {
	return time.Duration(min(n, int64(maxKeyTime/time.Second)+1)) * time.Second
}
