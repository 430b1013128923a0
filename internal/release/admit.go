package release

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
)

// Why a host does not take a release although those whom it trusts signed it.
var (
	// ErrExpired says that the manifest's time is over.
	ErrExpired = errors.New("release has expired")
	// ErrOlder says that the host has accepted a newer release, or another one
	// with the same counter, and that nothing allows it to go back.
	ErrOlder = errors.New("release is older than one accepted before")
)

// Digest is the SHA-256 of m's encoding: of what is signed, and so of all that m
// says. The error is that of Encode.
func (m Manifest) Digest() (Digest, error) {
	b, err := m.Encode()
	if err != nil {
		return Digest{}, err
	}
	return sha256.Sum256(b), nil
}

// Admit decides whether a host whose highest accepted counter of m's app is
// highest, 0 for none, may take m at the time now: m is not expired, and it is
// not older, or r allows going back to it. A nil r is no statement. With the
// counter highest only the manifest with the Digest accepted may come again; a
// zero one is not known. The caller has verified the signatures of both, and
// keeps the highest counter and its manifest's Digest, which a rollback does not
// change: so a statement is worth nothing after a newer release. The error is
// ErrExpired or ErrOlder and names why in one line, or that of m.Encode.
func Admit(m Manifest, r *Rollback, highest uint64, accepted Digest, now time.Time) error {
	if m.Expired(now) {
		return fmt.Errorf("%w: %s, on %s", ErrExpired, m.Ref(), date(m.Expires))
	}
	switch {
	case m.Counter > highest:
		return nil
	case m.Counter == highest:
		return again(m, accepted)
	}
	if why := obstacle(m, r, highest, now); why != "" {
		return fmt.Errorf("%w: %s is release %d of %s, this host has accepted %d, and %s", ErrOlder, m.Ref(), m.Counter, m.App, highest, why)
	}
	return nil
}

// again decides on a release with the highest accepted counter: two signed ones
// would else take turns for ever, as whoever gives the orders likes.
func again(m Manifest, accepted Digest) error {
	if accepted.IsZero() {
		return nil
	}
	digest, err := m.Digest()
	if err != nil || digest == accepted {
		return err
	}
	return fmt.Errorf("%w: %s is release %d of %s, and another release with the same counter was accepted", ErrOlder, m.Ref(), m.Counter, m.App)
}

// obstacle says what keeps r from allowing a host to go back to m; empty is
// nothing.
func obstacle(m Manifest, r *Rollback, highest uint64, now time.Time) string {
	if r == nil {
		return "no rollback statement allows it"
	}
	if err := r.Validate(); err != nil {
		return "the rollback statement is none: " + err.Error()
	}
	switch {
	case r.Ref() != m.Ref() || r.Counter != m.Counter:
		return fmt.Sprintf("the rollback statement is for %s, release %d", r.Ref(), r.Counter)
	case r.SHA256 != m.SHA256:
		return fmt.Sprintf("the rollback statement is for the artifact %s, not %s", r.SHA256, m.SHA256)
	case r.Replaces < highest:
		return fmt.Sprintf("the rollback statement replaces releases up to %d only", r.Replaces)
	case over(r.Expires, now):
		return "the rollback statement expired on " + date(r.Expires)
	}
	return ""
}

// Expired reports whether no host takes the release any more at the time now.
func (m Manifest) Expired(now time.Time) bool { return over(m.Expires, now) }

// over reports whether a document that expires then is past its time; a zero
// time is never.
func over(expires, now time.Time) bool { return !expires.IsZero() && !now.Before(expires) }

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }
