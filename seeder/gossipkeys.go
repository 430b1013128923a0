package seeder

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/release"
	"crow/internal/store"
)

// ringName is the ring's document of kindGossip.
const ringName = "ring"

// How a rotation goes: hosts have their orders within a second, so that who is
// there has a new key long before anybody sends with it. The grace is for those
// that miss that and still gossip with the old one; who was off altogether gets the
// keys in force with its orders.
const (
	minKeyTime   = 5 * time.Second
	maxKeyTime   = 30 * 24 * time.Hour
	gossipKeyLen = 32 // bytes: AES-256
)

// keyring is the part of the books about gossip's keys. Without any, the fleet
// gossips in the clear and there is nothing to rotate.
type keyring struct {
	*env
	ring  ring
	last  [][]byte // in force, as members were last told
	words []string // the same, in the form of orders
	use   func(keys [][]byte) error
}

// loadKeyring takes up the ring of an earlier life, unless somebody has put other
// keys into the config's file since.
func loadKeyring(e *env, fromFile [][]byte, now time.Time) (*keyring, error) {
	k := &keyring{env: e, use: func([][]byte) error { return nil }}
	file := release.Digest(sha256.Sum256(bytes.Join(fromFile, []byte("\n"))))
	err := k.get(kindGossip, ringName, &k.ring)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return nil, err
	}
	if err != nil || k.ring.File != file {
		k.ring = ringOf(file, fromFile)
	}
	k.refresh(now)
	return k, nil
}

// refresh works out which keys are in force, and reports whether that is news.
func (k *keyring) refresh(now time.Time) (changed bool) {
	keys := k.ring.inForce(now)
	if slices.EqualFunc(keys, k.last, bytes.Equal) {
		return false
	}
	k.last, k.words = keys, gossip.FormatKeys(keys)
	return true
}

// rotate makes a new key and begins to hand it out.
func (b *books) rotateGossipKey(spread, grace time.Duration, now time.Time) (control.GossipRotation, error) {
	k := b.keyring
	switch n := len(k.ring.inForce(now)); {
	case n == 0:
		return control.GossipRotation{}, usage("give every host one key file (gossip_key_file), then start them anew",
			"gossip has no key, so there is none to rotate")
	case n >= gossip.MaxKeys:
		return control.GossipRotation{}, refused(fmt.Sprintf("%d keys of gossip are in force already", n), "wait until the first of them has ended")
	case min(spread, grace) < minKeyTime || max(spread, grace) > maxKeyTime:
		return control.GossipRotation{}, usage("", "spread of %s and grace of %s: want %s to %s", spread, grace, minKeyTime, maxKeyTime)
	}
	key := make([]byte, gossipKeyLen)
	rand.Read(key) // never fails (crypto/rand)
	next := k.ring.rotate(key, spread, grace, now)
	if err := b.put(kindGossip, ringName, next); err != nil {
		return control.GossipRotation{}, err
	}
	k.ring = next
	b.spreadKeys(now)
	sends := next.Keys[0].Sends
	return control.GossipRotation{Sends: sends, Ends: sends.Add(grace), Keys: len(k.last)}, nil
}

// spreadKeys tells all members if other keys are in force than before.
func (b *books) spreadKeys(now time.Time) {
	if !b.keyring.refresh(now) {
		return
	}
	if err := b.keyring.use(b.keyring.last); err != nil {
		b.log.Error("gossip keys not changed", zap.Error(err))
	}
	for _, h := range b.fleet.hosts {
		b.tell(h, now)
	}
	b.log.Info("gossip keys changed", zap.Int("keys", len(b.keyring.last)))
}
