package seeder

import (
	"slices"
	"time"

	"crow/internal/release"
)

// ring is the fleet's gossip keys over time, the newest first: the document
// gossip/ring. A new key is handed to all hosts before anybody sends with it, and
// the one before it is understood for a while after that.
type ring struct {
	File release.Digest `json:"file"` // of the config's keys when the ring began
	Keys []ringKey      `json:"keys"`
}

type ringKey struct {
	Key   []byte    `json:"key"`
	Sends time.Time `json:"sends"` // when it is sent with; zero: from the beginning
	// Ends is when it is worth nothing any more; zero while it has no successor.
	Ends time.Time `json:"ends,omitzero"`
}

// inForce returns the keys that members have at a time, the one to send with
// first.
func (r ring) inForce(now time.Time) (keys [][]byte) {
	var waiting [][]byte
	for _, k := range r.Keys {
		switch {
		case now.Before(k.Sends):
			waiting = append(waiting, k.Key)
		case k.Ends.IsZero() || now.Before(k.Ends):
			keys = append(keys, k.Key)
		}
	}
	return append(keys, waiting...)
}

// rotate adds a key that is sent with after spread, and ends the others a grace
// after that. It forgets those whose time is over.
func (r ring) rotate(key []byte, spread, grace time.Duration, now time.Time) ring {
	sends := now.Add(spread).UTC().Truncate(time.Second)
	ends := sends.Add(grace)
	next := ring{File: r.File, Keys: []ringKey{{Key: key, Sends: sends}}}
	for _, k := range r.Keys {
		if !k.Ends.IsZero() && !now.Before(k.Ends) {
			continue
		}
		if k.Ends.IsZero() || ends.Before(k.Ends) {
			k.Ends = ends
		}
		next.Keys = append(next.Keys, k)
	}
	return next
}

// ringOf begins a ring with the config's keys, of which the first is sent with.
func ringOf(file release.Digest, keys [][]byte) ring {
	r := ring{File: file}
	for _, k := range keys {
		r.Keys = append(r.Keys, ringKey{Key: slices.Clone(k)})
	}
	return r
}
