package seeder

import (
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
)

// books are all that the seeder knows and decides on: releases, hosts, deploys
// and where each host stands. They are plain data for one goroutine, the
// ledger's; each method takes the time it happens at.
type books struct {
	*env
	catalog *catalog
	fleet   *fleet
	deploys *deploys
	keys    *keys
	uplink  *uplink
	keyring *keyring
	swept   time.Time
	// converged is when hosts were last given leave to catch up.
	converged time.Time
	// stir is signalled when some host's orders changed: others may have to
	// be woken, and other torrents offered.
	stir chan struct{}
}

// openBooks reads the books from the store. sent tells the bytes of a torrent
// that were sent in this life.
func openBooks(e *env, sent func(release.Digest) int64) (*books, error) {
	b, err := readBooks(e, sent)
	return b, e.explain(err)
}

func readBooks(e *env, sent func(release.Digest) int64) (*books, error) {
	c, err := loadCatalog(e)
	if err != nil {
		return nil, fmt.Errorf("open catalog: %w", err)
	}
	f, err := loadFleet(e)
	if err != nil {
		return nil, fmt.Errorf("open registry of hosts: %w", err)
	}
	ds, err := loadDeploys(e, sent)
	if err != nil {
		return nil, fmt.Errorf("open deploys: %w", err)
	}
	ks, err := loadKeys(e)
	if err != nil {
		return nil, fmt.Errorf("open idempotency keys: %w", err)
	}
	ks.adopt(ds)
	u, err := loadUplink(e)
	if err != nil {
		return nil, fmt.Errorf("open limits of the seeder: %w", err)
	}
	k, err := loadKeyring(e, e.gossip, e.started)
	if err != nil {
		return nil, fmt.Errorf("open gossip keys: %w", err)
	}
	b := &books{env: e, catalog: c, fleet: f, deploys: ds, keys: ks, uplink: u, keyring: k, swept: e.started, stir: make(chan struct{}, 1)}
	for _, h := range f.hosts {
		if _, err := b.assignAll(h, e.started); err != nil {
			return nil, fmt.Errorf("work out the orders of %s: %w", h.Name, err)
		}
	}
	return b, nil
}

// hello registers a host and works out what it should run.
func (b *books) hello(name string, hello control.Hello, now time.Time) error {
	h, changed, err := b.fleet.hello(name, hello, now)
	if err != nil || !changed {
		return err
	}
	moved, err := b.assignAll(h, now)
	if moved {
		b.tell(h, now)
	}
	return err
}

// tick does what is due. It is called a few times a second.
func (b *books) tick(now time.Time) {
	b.spreadKeys(now)
	b.fleet.notice(now)
	for d := range b.deploys.awake {
		if !d.Phase.Ended() && (d.stale || now.Sub(d.judged) >= b.pace.judge) {
			b.deploys.count(d, now)
			b.judge(d, now)
		}
		b.deploys.show(d, now)
		if d.dirty && now.Sub(d.saved) >= b.pace.checkpoint {
			b.deploys.save(d, now)
			b.deploys.rest(d)
		}
	}
	if now.Sub(b.converged) >= b.pace.judge {
		b.converge(now)
	}
	for _, h := range b.fleet.review(now) {
		b.dismiss(h, now)
	}
	if b.fleet.dirty && now.Sub(b.fleet.saved) >= b.pace.register {
		b.fleet.save(now)
	}
	if now.Sub(b.swept) >= b.pace.sweep {
		b.swept = now
		if err := b.catalog.sweep(now, b.pace.orphan); err != nil {
			b.log.Error("artifacts without a release not removed", zap.Error(err))
		}
		if err := b.keys.sweep(now); err != nil {
			b.log.Error("old idempotency keys not removed", zap.Error(err))
		}
	}
}

// close writes down what is not yet on disk, and names what it could not.
func (b *books) close(now time.Time) error {
	var errs []error
	for d := range b.deploys.awake {
		if !d.Phase.Ended() {
			b.deploys.count(d, now)
		}
		if d.dirty {
			b.deploys.save(d, now)
		}
		if d.dirty {
			errs = append(errs, fmt.Errorf("result of deploy %s not saved", d.ID))
		}
	}
	b.fleet.save(now)
	if b.fleet.dirty {
		errs = append(errs, errors.New("registry of hosts not saved"))
	}
	return errors.Join(errs...)
}
