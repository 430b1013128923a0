package gossip

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"go.uber.org/zap"
)

// keyring is the keys of a running member.
type keyring struct {
	mu   sync.Mutex          // one change at a time
	ring *memberlist.Keyring // nil: all is in the clear
}

// newKeyring wants keys that are valid. It keeps copies.
func newKeyring(keys [][]byte) (*keyring, error) {
	if len(keys) == 0 {
		return &keyring{}, nil
	}
	keys = copyKeys(keys)
	ring, err := memberlist.NewKeyring(keys, keys[0])
	return &keyring{ring: ring}, err
}

func copyKeys(keys [][]byte) [][]byte {
	copies := make([][]byte, len(keys))
	for i, key := range keys {
		copies[i] = bytes.Clone(key)
	}
	return copies
}

// SetKeys puts keys in the place of those that the member has: from now on it
// sends with the first and understands them all. The error is
// release.ErrInvalid for what Config.Keys would not take either, and nothing has
// changed then. Gossip that began with keys can't do without, nor the other way
// round.
//
// A fleet goes from an old key to a new one in three steps, each begun only when
// every member has done the one before: [old, new], [new, old], [new]. A member
// that has missed the first is not failed by the second alone: the others
// understand it, and it does not understand them, so it takes them for failed and
// has them deny it, until it gets the new key or they let go of the old one.
func (g *Gossip) SetKeys(keys [][]byte) error {
	if err := validateKeys(keys); err != nil {
		return fmt.Errorf("gossip: set keys: %w", err)
	}
	if (len(keys) == 0) != (g.keys.ring == nil) {
		return errors.New("gossip: set keys: to begin or to end encryption takes a restart")
	}
	if len(keys) == 0 {
		return nil
	}
	changed, err := g.keys.set(keys)
	if err != nil {
		return fmt.Errorf("gossip: set keys: %w", err)
	}
	if changed {
		g.log.Info("gossip keys changed", zap.Int("keys", len(keys)))
	}
	return nil
}

// set adds what is missing, then sends with the first, then drops the rest, so
// that there is no moment at which a wanted key is not understood.
func (k *keyring) set(keys [][]byte) (changed bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.ring.GetKeys()
	keys = copyKeys(keys) // the ring keeps what it is given
	for _, key := range keys {
		if err := k.ring.AddKey(key); err != nil {
			return true, err
		}
	}
	if err := k.ring.UseKey(keys[0]); err != nil {
		return true, err
	}
	changed = len(before) != len(keys) || !bytes.Equal(before[0], keys[0]) || len(k.ring.GetKeys()) != len(keys)
	return changed, k.drop(keys)
}

// drop removes every key that is not wanted. It only ever removes the last one:
// memberlist closes the gap that another leaves in the very slice that it reads
// keys from at the same time, without a lock. A wanted key that is last moves to
// the second place, and for an instant messages are sent with it; that happens
// only where a key goes that stood before one that stays.
func (k *keyring) drop(wanted [][]byte) error {
	for {
		ring := k.ring.GetKeys()
		if !slices.ContainsFunc(ring, func(key []byte) bool { return !hasKey(wanted, key) }) {
			return nil
		}
		var err error
		if last := ring[len(ring)-1]; !hasKey(wanted, last) {
			err = k.ring.RemoveKey(last)
		} else {
			err = errors.Join(k.ring.UseKey(last), k.ring.UseKey(wanted[0]))
		}
		if err != nil {
			return err
		}
	}
}

// keepKeysFrom takes the keys out of serf's sight, and leaves them to
// memberlist. serf lets every member list, add, use and remove the keys of all
// others by a query. Whoever has only a key that is on its way out would so get
// the next one, and anybody could lock the fleet out. serf reads this field of its
// config for nothing else but queries, so it must be set before the first one can
// arrive.
func keepKeysFrom(c *serf.Config) {
	bare := *c.MemberlistConfig
	bare.Keyring, bare.SecretKey = nil, nil
	c.MemberlistConfig = &bare
}
