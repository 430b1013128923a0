package release

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestAdmit(t *testing.T) {
	m, now := good(), goodRollback().Created // counter 7
	ends, twin, none := m, m, Manifest{Counter: 7}
	ends.Expires, twin.Created = now, m.Created.Add(time.Second)
	known, err := m.Digest()
	if err != nil {
		t.Fatal(err)
	}
	allow := func(edits ...func(*Rollback)) *Rollback {
		r := goodRollback() // replaces up to 9
		for _, edit := range edits {
			edit(&r)
		}
		return &r
	}
	tests := []struct {
		name     string
		m        Manifest
		r        *Rollback
		highest  uint64
		accepted Digest
		now      time.Time
		want     error
		text     string
	}{
		{"the first", m, nil, 0, known, now, nil, ""},
		{"a newer one", m, nil, 6, known, now, nil, ""},
		{"the same again", m, nil, 7, known, now, nil, ""},
		{"the same with a statement", m, allow(), 7, known, now, nil, ""},
		{"the same again, and not known which that was", m, nil, 7, Digest{}, now, nil, ""},
		{"another one of the same counter", twin, nil, 7, known, now, ErrOlder, "web@1.42.0 is release 7 of web, and another release with the same counter was accepted"},
		{"another one of the same counter, with a statement", twin, allow(), 7, known, now, ErrOlder, "same counter"},
		{"another one of the same counter, and not known which that was", twin, nil, 7, Digest{}, now, nil, ""},
		{"no manifest at all, of the same counter", none, nil, 7, known, now, ErrInvalid, ""},
		{"an older one", m, nil, 8, known, now, ErrOlder, "web@1.42.0 is release 7 of web, this host has accepted 8, and no rollback statement"},
		{"a second before its end", ends, nil, 0, known, now.Add(-time.Second), nil, ""},
		{"at its end", ends, nil, 0, known, now, ErrExpired, "web@1.42.0, on 2026-11-23T08:00:00Z"},
		{"expired, and a statement", ends, allow(), 8, known, now, ErrExpired, ""},
		{"back by one", m, allow(), 8, known, now, nil, ""},
		{"back from the highest that it names", m, allow(), 9, known, now, nil, ""},
		{"after a newer release", m, allow(), 10, known, now, ErrOlder, "up to 9 only"},
		{"at its last second", m, allow(), 8, known, now.Add(24*time.Hour - time.Second), nil, ""},
		{"an expired statement", m, allow(), 8, known, now.Add(24 * time.Hour), ErrOlder, "expired on 2026-11-24T08:00:00Z"},
		{"a statement for ever", m, allow(func(r *Rollback) { r.Expires = time.Time{} }), 8, known, now.AddDate(100, 0, 0), nil, ""},
		{"another app's", m, allow(func(r *Rollback) { r.App = "db" }), 8, known, now, ErrOlder, "is for db@1.42.0"},
		{"another version's", m, allow(func(r *Rollback) { r.Version = "1.41.0" }), 8, known, now, ErrOlder, "is for web@1.41.0"},
		{"another counter's", m, allow(func(r *Rollback) { r.Counter = 6 }), 8, known, now, ErrOlder, "release 6"},
		{"another artifact's", m, allow(func(r *Rollback) { r.SHA256 = Digest{9} }), 8, known, now, ErrOlder, "artifact 09"},
		{"no statement at all", m, &Rollback{}, 8, known, now, ErrOlder, "is none"},
		{"one of another type", m, allow(func(r *Rollback) { r.Type = "x" }), 8, known, now, ErrOlder, "type"},
	}
	for _, tt := range tests {
		err := Admit(tt.m, tt.r, tt.highest, tt.accepted, tt.now)
		if !errors.Is(err, tt.want) || tt.want != nil && (!strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: error %v, want %v with %q", tt.name, err, tt.want, tt.text)
		}
	}
}

// Whatever order releases and statements come in, old ones again among them: a
// host never runs less than the highest that it has accepted without a
// statement that names at least that, never two of that counter, and never an
// expired one. It may have begun with a record of an earlier crow, which names
// no manifest.
func TestNoReplayLowersAHost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		manifests, statements := someHistory(t)
		now, highest, accepted := goodRollback().Created, rapid.Uint64Range(0, 3).Draw(t, "highest"), Digest{}
		for range rapid.IntRange(1, 40).Draw(t, "orders") {
			m, r := rapid.SampledFrom(manifests).Draw(t, "manifest"), rapid.SampledFrom(statements).Draw(t, "statement")
			now = now.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "hours")) * time.Hour)
			err := Admit(m, r, highest, accepted, now)
			live := func(end time.Time) bool { return end.IsZero() || end.After(now) }
			back := r != nil && r.Ref() == m.Ref() && r.Counter == m.Counter && r.SHA256 == m.SHA256 && r.Replaces >= highest && live(r.Expires)
			digest, digestErr := m.Digest()
			same := digestErr == nil && (accepted.IsZero() || digest == accepted)
			if want := live(m.Expires) && (m.Counter > highest || m.Counter == highest && same || m.Counter < highest && back); (err == nil) != want {
				t.Fatalf("highest %d, %+v, %+v: error %v, want it admitted: %t", highest, m, r, err, want)
			}
			if err == nil && m.Counter >= highest {
				highest, accepted = m.Counter, digest
			}
		}
	})
}

// someHistory draws what an attacker who keeps everything could send again: an
// app's releases, and the statements that were made at different times.
func someHistory(t *rapid.T) ([]Manifest, []*Rollback) {
	start := goodRollback().Created
	end := func(label string) time.Time {
		if h := rapid.IntRange(0, 60).Draw(t, label); h > 0 {
			return start.Add(time.Duration(h) * time.Hour)
		}
		return time.Time{}
	}
	statements := []*Rollback{nil}
	var manifests []Manifest
	for counter := uint64(1); counter <= 6; counter++ {
		m := good()
		m.Counter, m.SHA256, m.Expires = counter, Digest{byte(counter)}, end("expires")
		twin := m
		twin.SHA256 = Digest{byte(counter), 1}
		manifests = append(manifests, m, twin)
		for replaces := counter + 1; replaces <= 6; replaces++ {
			r := RollbackTo(m, replaces, start, end("statement expires"))
			statements = append(statements, &r)
		}
	}
	return manifests, statements
}
