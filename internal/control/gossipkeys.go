package control

import "time"

// RotateGossipKey asks for a new key for the fleet's gossip.
type RotateGossipKey struct {
	SpreadSeconds int64 `json:"spread_seconds"` // how long hosts have to get the new key before it is sent with
	GraceSeconds  int64 `json:"grace_seconds"`  // how long the old key is still understood once the new one is sent with
}

// GossipRotation says how a rotation goes on by itself.
type GossipRotation struct {
	Sends time.Time `json:"sends"` // the new key is sent with from then on
	Ends  time.Time `json:"ends"`  // the old key is worth nothing from then on
	Keys  int       `json:"keys"`  // in force now
}
