package peer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// errRefused marks orders that the host's own config does not let it follow:
// nobody whom it trusts says that the release may run here, or may run now.
var errRefused = errors.New("refused")

// trusted decides whether the order's release may run here, and remembers that
// it may: from then on what is older may not, unless a statement allows it. The
// seeder's word counts for nothing.
func (j *job) trusted(context.Context) error {
	if err := j.vouched(time.Now()); err != nil {
		return at(stepOrder, fmt.Errorf("%w: %w", errRefused, err))
	}
	if counter := j.order.Manifest.Counter; counter > j.rec.Accepted {
		j.rec.Accepted = counter
		return at(stepOrder, j.save())
	}
	return nil
}

func (j *job) vouched(now time.Time) error {
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
	return release.Admit(o.Manifest, statement, j.rec.Accepted, now)
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
	all := o.Signatures
	if o.Rollback != nil {
		all = append(all[:len(all):len(all)], o.Rollback.Signatures...)
	}
	if len(all) > 2*control.MaxSignatures {
		return fmt.Errorf("%d signatures, at most %d are looked at", len(all), 2*control.MaxSignatures)
	}
	for _, s := range all {
		if len(s) > control.MaxSignatureLen {
			return fmt.Errorf("a signature of %d bytes, at most %d are looked at", len(s), control.MaxSignatureLen)
		}
	}
	return nil
}
