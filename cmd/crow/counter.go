package main

import (
	"fmt"
	"time"

	"crow/internal/control"
	"crow/internal/signing"
)

// What the seeder says of releases that exist is not believed when something is
// signed because of it: a false one could so get statements and counters that hold
// against all later releases. Only releases that somebody signed whom the operator
// trusts count.

// maxAhead is how far clocks of those who sign may be apart.
const maxAhead = 24 * time.Hour

// known are the releases that count: where the operator signs, those with a valid
// signature of its own or trusted keys; else, in a fleet without signatures, all.
func (g signer) known(all []control.Release) (known []control.Release) {
	if len(g.keys) == 0 {
		return all
	}
	anyone := g.anyone()
	for _, r := range all {
		if b, err := r.Manifest.Encode(); err == nil && anyone.Verify(b, r.Signatures) == nil {
			known = append(known, r)
		}
	}
	return known
}

// anyone trusts each of the operator's own and trusted keys alone.
func (g signer) anyone() signing.Trust {
	t := signing.Trust{Threshold: 1}
	for _, k := range append(g.publicKeys(), g.trusted...) {
		if len(t.Keys) < signing.MaxKeys {
			t.Keys = append(t.Keys, k)
		}
	}
	return t
}

func (g signer) publicKeys() (keys []signing.PublicKey) {
	for _, k := range g.keys {
		keys = append(keys, k.Public())
	}
	return keys
}

// nextCounter is the counter of a release that is made now: the time in seconds,
// so that it is above whatever anybody signed before, shown or not; or, where
// clocks differ, one above the highest that is known.
func nextCounter(known []control.Release, now time.Time) uint64 {
	return max(uint64(now.Unix()), highestCounter(known)+1)
}

func highestCounter(all []control.Release) (highest uint64) {
	for _, r := range all {
		highest = max(highest, r.Counter)
	}
	return highest
}

// plausible refuses to vouch for a manifest that others made and that would stand
// above all later releases, or that no host takes any more.
func plausible(r control.Release, now time.Time) error {
	if limit := uint64(now.Add(maxAhead).Unix()); r.Counter > limit {
		return &fault{
			kind: refused, hint: "push the build under another version",
			text: fmt.Sprintf("release %s has the counter %d, which is in the future: not signed", r.Ref(), r.Counter),
		}
	}
	if r.Expired(now) {
		return &fault{
			kind: refused, hint: "push the build under another version",
			text: fmt.Sprintf("release %s expired on %s: no host takes it any more: not signed", r.Ref(), r.Expires.Local().Format(time.DateTime)),
		}
	}
	return nil
}
