package release

import (
	"fmt"
	"time"
)

// RollbackType is what a rollback statement says that it is. No manifest has
// such a field, so that a signature over one cannot pass for one over the other.
const RollbackType = "rollback"

// RollbackSchema is the version of the rollback statement's form.
const RollbackSchema = 1

// Rollback is a statement of those who sign releases: hosts may go back to one
// older release. It names the newest release that it replaces, so that it is
// worth nothing once there is one newer than that.
type Rollback struct {
	Type     string `json:"type"`
	Schema   int    `json:"schema"`
	App      string `json:"app"`
	Version  string `json:"version"`  // of the release to go back to, as the next two
	Counter  uint64 `json:"counter"`  // of its manifest
	SHA256   Digest `json:"sha256"`   // of its artifact
	Replaces uint64 `json:"replaces"` // the highest counter of the app that a host may have accepted
	// Created and Expires are in UTC and whole seconds; a zero Expires is never.
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"`
}

// RollbackTo states that hosts which have accepted releases of m's app up to the
// counter replaces may go back to m until expires; a zero time is for ever.
func RollbackTo(m Manifest, replaces uint64, created, expires time.Time) Rollback {
	return Rollback{
		Type: RollbackType, Schema: RollbackSchema, App: m.App, Version: m.Version, Counter: m.Counter, SHA256: m.SHA256,
		Replaces: replaces, Created: inSeconds(created), Expires: inSeconds(expires),
	}
}

// Ref names the release that r goes back to.
func (r Rollback) Ref() Ref { return Ref{App: r.App, Version: r.Version} }

// Validate checks every field by itself, and that r goes back at all.
func (r Rollback) Validate() error {
	if err := r.Ref().Validate(); err != nil {
		return err
	}
	switch {
	case r.Type != RollbackType:
		return fmt.Errorf("%w rollback to %s: type %.80q, want %q", ErrInvalid, r.Ref(), r.Type, RollbackType)
	case r.Schema != RollbackSchema:
		return fmt.Errorf("%w rollback to %s: schema %d, this crow knows %d", ErrInvalid, r.Ref(), r.Schema, RollbackSchema)
	case r.Counter == 0:
		return fmt.Errorf("%w rollback to %s: counter is missing", ErrInvalid, r.Ref())
	case r.SHA256.IsZero():
		return fmt.Errorf("%w rollback to %s: sha256 is missing", ErrInvalid, r.Ref())
	case r.Replaces <= r.Counter:
		return fmt.Errorf("%w rollback to %s: replaces %d, want more than its counter %d", ErrInvalid, r.Ref(), r.Replaces, r.Counter)
	case r.Created.IsZero():
		return fmt.Errorf("%w rollback to %s: created is missing", ErrInvalid, r.Ref())
	}
	return nil
}

// Encode gives the statement's one encoding: JSON without white space, fields in
// the order of the struct.
func (r Rollback) Encode() ([]byte, error) {
	// First, since a time within the zero second becomes the zero time.
	r.Created, r.Expires = inSeconds(r.Created), inSeconds(r.Expires)
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return encodeJSON(r, "rollback")
}

// DecodeRollback reads what Encode wrote, as strictly as DecodeManifest: only
// the one encoding of a statement decodes.
func DecodeRollback(b []byte) (Rollback, error) { return decodeCanonical[Rollback](b, "rollback") }
