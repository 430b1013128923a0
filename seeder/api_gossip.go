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
	grace := time.Duration(min(req.GraceSeconds, int64(maxKeyGrace/time.Second)+1)) * time.Second
	rotation, err := ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.GossipRotation, error) {
		return b.rotateGossipKey(grace, now)
	})
	a.record(r, control.HistoryEntry{Action: control.ActionRotate}, err)
	return rotation, err
}
