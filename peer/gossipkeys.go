package peer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/gossip"
)

// startKeys are the keys to gossip with before the first orders: those of the last
// ones, which may be newer than the config's, and the config's, in case that
// they were changed by hand since. Without a key in the config there are none.
func startKeys(file [][]byte, last control.Orders) [][]byte {
	if len(file) == 0 {
		return nil
	}
	keys, err := orderedKeys(last)
	if err != nil {
		return file
	}
	for _, k := range file {
		if len(keys) < gossip.MaxKeys && !slices.ContainsFunc(keys, func(o []byte) bool { return bytes.Equal(k, o) }) {
			keys = append(keys, k)
		}
	}
	return keys
}

// orderedKeys reads the keys that orders bring along; without any it returns nil.
func orderedKeys(o control.Orders) ([][]byte, error) {
	if len(o.GossipKeys) == 0 {
		return nil, nil
	}
	if n := len(o.GossipKeys); n > gossip.MaxKeys {
		return nil, fmt.Errorf("gossip keys of the orders: %d of them, at most %d are taken", n, gossip.MaxKeys)
	}
	keys, err := gossip.ParseKeys([]byte(strings.Join(o.GossipKeys, "\n")))
	if err != nil {
		return nil, fmt.Errorf("gossip keys of the orders: %w", err)
	}
	return keys, nil
}

// useKeys has gossip go over to the keys in force. An agent whose config has no
// key goes on without.
func (a *agent) useKeys(o control.Orders) {
	keys, err := orderedKeys(o)
	if err == nil && keys != nil {
		err = a.setKeys(keys)
	}
	if err != nil {
		a.log.Error("gossip keys not changed", zap.Error(err))
	}
}
