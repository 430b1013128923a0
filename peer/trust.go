package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/transport"
)

// errRefused marks orders that the host's own config does not let it follow:
// nobody whom it trusts says that the release may run here, or may run now, or
// the host does not know what it has accepted before.
var errRefused = errors.New("refused")

// validateTrust also wants keys off loopback: whoever can give orders to a host
// without them runs programs on it.
func (c Config) validateTrust() error {
	if !c.Trust.IsZero() {
		return c.Trust.Validate()
	}
	key := c.offLoopback()
	if c.Insecure || key == "" {
		return nil
	}
	return fmt.Errorf("trust: missing or %w: want {keys: [...]} of those who sign releases; only insecure: true goes without where %s is off loopback", release.ErrInvalid, key)
}

// offLoopback names the first key by which this host has to do with others; empty
// if it keeps to this machine. The other checks have found the addresses good.
func (c Config) offLoopback() string {
	if !transport.IsLoopback(c.Advertise) {
		return "advertise"
	}
	for _, s := range c.Seeders {
		if u, err := url.Parse(s); err != nil || !transport.IsLoopback(u.Hostname()) {
			return "seeders"
		}
	}
	for _, l := range c.listeners() {
		if host, _, err := net.SplitHostPort(l.addr); err != nil || !transport.IsLoopback(host) {
			return l.key
		}
	}
	return ""
}

// trusted decides whether the order's release may run here, and remembers that
// it may: from then on what is older may not, unless a statement allows it, and
// another one with its counter may not at all. The seeder's word counts for nothing.
func (j *job) trusted(context.Context) error {
	if err := j.vouched(time.Now()); err != nil {
		return at(stepOrder, fmt.Errorf("%w: %w", errRefused, err))
	}
	return at(stepOrder, j.accept())
}

// accept remembers the order's release, if it is the newest that was trusted.
func (j *job) accept() error {
	m := j.order.Manifest
	digest, err := m.Digest()
	if err != nil {
		return err
	}
	if m.Counter < j.rec.Accepted || m.Counter == j.rec.Accepted && digest == j.rec.AcceptedSHA256 {
		return nil
	}
	j.rec.Accepted, j.rec.AcceptedSHA256 = m.Counter, digest
	return j.save()
}

// authentic is what a repair wants: the release is live here already, and may be
// mended however old it is.
func (j *job) authentic(context.Context) error {
	if err := j.signed("manifest", j.order.Manifest.Encode, j.order.Signatures); err != nil {
		return at(stepOrder, fmt.Errorf("%w: %w", errRefused, err))
	}
	return nil
}

// vouched checks all that those whom the host trusts have to say on the order.
func (j *job) vouched(now time.Time) error {
	if j.rec.unreadable != nil {
		return j.rec.unreadable
	}
	o := j.order
	if err := j.signed("manifest", o.Manifest.Encode, o.Signatures); err != nil {
		return err
	}
	var statement *release.Rollback
	if o.Rollback != nil {
		if err := j.signed("rollback statement", o.Rollback.Statement.Encode, o.Rollback.Signatures); err != nil {
			return err
		}
		statement = &o.Rollback.Statement
	}
	if j.rec.lastLive(o.Manifest) {
		return nil // nothing else would run than did
	}
	return release.Admit(o.Manifest, statement, j.rec.Accepted, j.rec.AcceptedSHA256, now)
}

// signed checks a document's signatures against the keys that the host's config
// trusts. Without such keys, which is for labs, everything is taken.
func (j *job) signed(what string, encode func() ([]byte, error), signatures []string) error {
	if j.cfg.Trust.IsZero() {
		return nil
	}
	b, err := encode()
	if err != nil {
		return err
	}
	if err := j.cfg.Trust.Verify(b, signatures); err != nil {
		return fmt.Errorf("%s of %s: %w", what, j.order.Manifest.Ref(), err)
	}
	return nil
}

// checkSignatures bounds what orders bring along.
func checkSignatures(o control.Order) error {
	if o.Rollback != nil {
		if err := control.ValidateSignatures(o.Rollback.Signatures); err != nil {
			return err
		}
	}
	return control.ValidateSignatures(o.Signatures)
}
