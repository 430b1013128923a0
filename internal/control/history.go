package control

import (
	"context"
	"net/http"
	"time"
)

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
	// LeftOut counts failed calls of the same caller before this entry that have
	// none of their own: there were too many. Callers that were too many to tell
	// apart count as one.
	LeftOut int `json:"left_out,omitempty"`
}

// HistoryCheck is what following the chain of the log's lines found: GET
// PathHistory?verify=true answers it.
type HistoryCheck struct {
	Entries int           `json:"entries"` // that are whole; up to the break, if there is one
	Break   *HistoryBreak `json:"break"`   // null: all are whole
}

// HistoryBreak is the first place where a line does not follow the one before it.
type HistoryBreak struct {
	File string `json:"file"` // of the log, without its folder
	Line int    `json:"line"` // counted from 1
	Why  string `json:"why"`
}

// What is done, as history tells it.
const (
	ActionPush     = "push"     // a release was made
	ActionSign     = "sign"     // a release got more signatures
	ActionDeploy   = "deploy"   // a deploy was asked for
	ActionRollback = "rollback" // the same, with a statement that lets hosts go back
	ActionPause    = "pause"
	ActionResume   = "resume"
	ActionAbort    = "abort"
	ActionRetry    = "retry"
	ActionForget   = "forget" // a host
	ActionRemove   = "remove" // a release
	ActionRotate   = "rotate-gossip-key"
	ActionLimits   = "limits"   // of hosts or the seeder
	ActionFallback = "fallback" // the seeder began a deploy that takes hosts back from one that failed, as that was ordered to
	ActionEnded    = "ended"    // a deploy came to its end
	ActionCall     = "call"     // a call that changes something, refused for the caller's role; the message says which
	ResultOK       = "ok"
)

// Bounds of what a call for the history answers, in entries.
const (
	DefaultHistory = 50
	MaxHistory     = 10_000
)

// VerifyHistory has the seeder follow the chain of its history.
func (c *Client) VerifyHistory(ctx context.Context) (HistoryCheck, error) {
	var h HistoryCheck
	return h, c.call(ctx, http.MethodGet, PathHistory+"?verify=true", nil, &h)
}
