package seeder

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/store"
	"crow/seeder/audit"
	"crow/tracker"
)

// Kinds of documents in the store. What is in them is described where their
// types are.
const (
	kindBlob       = "blobs"      // stored, by SHA-256
	kindTorrent    = "torrents"   // bencoded, by SHA-256
	kindRelease    = "releases"   // release.Manifest in its one encoding, by APP@VERSION
	kindSignatures = "signatures" // of a release, a list, by APP@VERSION
	kindSigners    = "signers"    // of the signatures, by APP@VERSION
	kindDeploy     = "deploys"    // plan, by id
	kindResult     = "results"    // result, by id
	kindKey        = "keys"       // asked, by idempotency key and what keys.name tells
	kindArchive    = "archive"    // filed, by id and what archived tells
	kindGossip     = "gossip"     // ring, under ringName
	kindFleet      = "fleet"      // all hosts, one document
	kindLimits     = "limits"     // control.WantedLimits of the seeder itself, under uplinkName
)

// env is what all parts of the books share: where they write, and which life
// of the seeder this is.
type env struct {
	dir     *store.Dir
	audit   *audit.Log // nil in tests of the books alone
	log     *zap.Logger
	pace    pace
	epoch   string    // random, new with each start
	started time.Time // of this life
	gossip  [][]byte  // keys of the config's file
}

func (e *env) put(kind, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s %s: %w", kind, name, err)
	}
	return e.dir.PutDoc(kind, name, b)
}

func (e *env) get(kind, name string, v any) error {
	b, err := e.dir.GetDoc(kind, name)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return &docError{kind, name, err}
	}
	return nil
}

// getAll is get for what is an order to hosts: a field that this crow does not know, of
// a newer one, may be what holds them back, and to obey the rest of it would be wrong.
// Elsewhere such fields are passed over, so that one can go back to an older crow.
func (e *env) getAll(kind, name string, v any) error {
	b, err := e.dir.GetDoc(kind, name)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err = d.Decode(v)
	if err == nil && d.More() {
		err = errors.New("something follows the document")
	}
	if err != nil {
		return &docError{kind, name, err}
	}
	return nil
}

// record appends to the audit log. What was done is no less done if that fails.
func (e *env) record(entry control.HistoryEntry) { e.recordBy((*audit.Log).Append, entry) }

// recordFailed appends a call that failed, unless its caller had too many of
// them.
func (e *env) recordFailed(entry control.HistoryEntry) {
	e.recordBy((*audit.Log).AppendFailed, entry)
}

func (e *env) recordBy(add func(*audit.Log, control.HistoryEntry) error, entry control.HistoryEntry) {
	if e.audit == nil {
		return
	}
	if err := add(e.audit, entry); err != nil {
		e.log.Error("audit log not written", zap.String("action", entry.Action), zap.String("who", entry.Who), zap.Error(err))
	}
}

// pace holds the seeder's times. They are no constants so that tests need not
// wait an hour.
type pace struct {
	tick       time.Duration // between looks at what is due
	judge      time.Duration // between judgements of a running deploy's silent hosts
	grace      time.Duration // of silence until a host counts as unreachable
	knock      time.Duration // that one which is silent already has to answer a new deploy
	deadline   time.Duration // of a deploy
	checkpoint time.Duration // between writes of a deploy's result while it changes
	register   time.Duration // between writes of the fleet's document while it changes
	orphan     time.Duration // that an artifact waits for its release
	sweep      time.Duration // between looks for artifacts without a release
	forget     time.Duration // of silence until a host is no longer of the fleet
	renew      time.Duration // between renewals of what external trackers know
}

func defaultPace() pace {
	return pace{
		tick: 200 * time.Millisecond, judge: time.Second,
		grace: time.Minute, knock: 5 * time.Second, deadline: time.Hour,
		checkpoint: 3 * time.Second, register: time.Second,
		orphan: time.Hour, sweep: 10 * time.Minute,
		forget: 7 * 24 * time.Hour, renew: tracker.RenewEvery,
	}
}

// hold is the longest that a host's poll is held open, whatever it asks for: a
// host that only polls must be heard from well within the grace.
func (p pace) hold() time.Duration { return p.grace / 3 }

// lull is for how long no host calls until the seeder takes that for a trouble of its
// own: a little longer than idle hosts hold their tongue. Who is said to be gone has to
// be silent for longer than both, or the first ones would be blamed before that.
func (p pace) lull() time.Duration { return p.grace * 2 / 5 }
