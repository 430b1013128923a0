package control

import "time"

// HistoryEntry is one thing that somebody did, or that came of it.
type HistoryEntry struct {
	Time    time.Time `json:"time"`   // UTC
	Who     string    `json:"who"`    // name in the caller's certificate; without TLS its address
	Role    string    `json:"role"`   // of the certificate; empty without TLS
	Action  string    `json:"action"` // push, sign, deploy, rollback, limits, rotate-gossip, ...; ended: of a deploy
	App     string    `json:"app,omitempty"`
	Version string    `json:"version,omitempty"`
	Deploy  string    `json:"deploy,omitempty"` // id
	Result  string    `json:"result"`           // ok, or the code of an error; of a deploy that ended its phase
	Message string    `json:"message,omitempty"`
}

// What is done, as history tells it.
const (
	ActionPush     = "push"     // a release was made
	ActionSign     = "sign"     // a release got more signatures
	ActionDeploy   = "deploy"   // a deploy was asked for
	ActionRollback = "rollback" // the same, with a statement that lets hosts go back
	ActionRotate   = "rotate-gossip-key"
	ActionLimits   = "limits" // of hosts or the seeder
	ActionEnded    = "ended"  // a deploy came to its end
	ResultOK       = "ok"
)

// Bounds of what a call for the history answers, in entries.
const (
	DefaultHistory = 50
	MaxHistory     = 10_000
)
