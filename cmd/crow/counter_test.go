package main

import (
	"fmt"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/signing"
)

func signedRelease(t *testing.T, counter uint64, keys ...signing.PrivateKey) control.Release {
	t.Helper()
	r := control.Release{Manifest: release.Manifest{
		Schema: release.ManifestSchema, App: "web", Version: fmt.Sprint(counter), Counter: counter, SHA256: release.Digest{1}, Size: 1,
		InfoHash: release.Digest{2}, PieceLength: release.MinPieceLength, Created: time.Unix(1_700_000_000, 0).UTC(),
	}}
	b, err := r.Manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		r.Signatures = append(r.Signatures, signing.Sign(k, b, "test"))
	}
	return r
}

// What nobody signed whom the operator trusts moves no counter: a false seeder
// could get statements that hold against all later releases.
func TestOnlySignedReleasesMoveCounters(t *testing.T) {
	var keys []signing.PrivateKey
	for range 3 {
		k, err := signing.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, k)
	}
	own, colleague, stranger := keys[0], keys[1], keys[2]
	g := signer{keys: []signing.PrivateKey{own}, trusted: []signing.PublicKey{colleague.Public()}}
	forged := signedRelease(t, 4_000_000_001, own)
	forged.Counter++
	all := []control.Release{
		signedRelease(t, 1_700_000_001, own), signedRelease(t, 1_700_000_002, colleague),
		signedRelease(t, 4_000_000_000), signedRelease(t, 4_000_000_000, stranger), forged,
	}
	now := time.Unix(1_700_000_000, 0)
	if got := nextCounter(g.known(all), now); got != 1_700_000_003 {
		t.Errorf("next is %d", got)
	}
	if got := nextCounter(g.known(all), now.Add(time.Hour)); got != 1_700_003_600 {
		t.Errorf("an hour later it is %d", got)
	}
	if got := nextCounter(signer{}.known(all), now); got != 4_000_000_003 {
		t.Errorf("in a fleet without signatures it is %d", got)
	}
	if plausible(all[0], now) != nil || plausible(signedRelease(t, 1_700_086_401), now) == nil {
		t.Error("what is a day ahead is vouched for, or what is not is refused")
	}
	ends := all[0]
	ends.Expires = now.Add(time.Minute)
	if plausible(ends, now) != nil || diagnose(plausible(ends, ends.Expires)).code != exitRefused {
		t.Error("what has expired is vouched for, or what is about to is refused")
	}
}
