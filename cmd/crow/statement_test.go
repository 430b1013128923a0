package main

import (
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/signing"
)

// Nobody signs what another states about other releases than those that there are.
func TestVouchable(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	target, newest := signedRelease(t, 1_600_000_000), signedRelease(t, 1_650_000_000)
	known := []control.Release{target, newest}
	other := target.Manifest
	other.SHA256 = release.Digest{9}
	older := target.Manifest
	older.Counter--
	hour := now.Add(time.Hour)
	for name, c := range map[string]struct {
		statement release.Rollback
		known     []control.Release
		why       string
	}{
		"good":                      {release.RollbackTo(target.Manifest, newest.Counter, now, hour), known, ""},
		"for ever":                  {release.RollbackTo(target.Manifest, newest.Counter, now, time.Time{}), known, ""},
		"as made now":               {release.RollbackTo(target.Manifest, nextCounter(known, now)-1, now, hour), known, ""},
		"another artifact":          {release.RollbackTo(other, newest.Counter, now, hour), known, "with sha256"},
		"another counter":           {release.RollbackTo(older, newest.Counter, now, hour), known, "release 1599999999"},
		"expired":                   {release.RollbackTo(target.Manifest, newest.Counter, now, now), known, "it expired on"},
		"a newer release":           {release.RollbackTo(target.Manifest, newest.Counter-1, now, hour), known, "newer release"},
		"releases that are to come": {release.RollbackTo(target.Manifest, 1_700_086_401, now, hour), known, "in the future"},
		"one that is ahead":         {release.RollbackTo(target.Manifest, 4_000_000_000, now, hour), append(known, signedRelease(t, 4_000_000_000)), ""},
	} {
		err := vouchable(c.statement, target, c.known, now)
		switch {
		case c.why == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.why != "" && (err == nil || !strings.Contains(err.Error(), c.why) || diagnose(err).code != exitRefused):
			t.Errorf("%s: %v, want %s", name, err, c.why)
		}
	}
}

// One person makes the statement, another adds a signature, and none signs twice.
func TestStatementIsSignedByOneAfterTheOther(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	target := signedRelease(t, 1_600_000_000)
	var trust signing.Trust
	var made *control.Rollback
	for i := range 2 {
		key, err := signing.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		trust.Keys, trust.Threshold = append(trust.Keys, key.Public()), i+1
		b := goingBack{given: made, expires: time.Hour, signer: signer{keys: []signing.PrivateKey{key}}}
		for range 2 {
			if made, err = b.statement(target, []control.Release{target}, now); err != nil {
				t.Fatal(err)
			}
			b.given = made
		}
		text, err := made.Statement.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := trust.Verify(text, made.Signatures); err != nil || len(made.Signatures) != i+1 {
			t.Errorf("after %d: %d signatures, %v", i+1, len(made.Signatures), err)
		}
	}
}
