package seeder

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// This file says when what is asked for is under way already, or was asked for before.

// same returns the deploy of the same release to the same hosts in the same way that is
// under way, if there is one: who asks for it twice, as a job that is tried again does,
// waits for it twice. One that is paused is the same too. It waits for somebody who
// knows why, and to begin it anew would be to resume it by accident.
// What hosts judge it by must be worth as much.
func (b *books) same(r control.Release, req control.CreateDeploy, s release.Selector, hosts []string, now time.Time) *deploy {
	for _, d := range b.deploys.byApp[r.App] {
		if !d.Phase.Ended() && d.Manifest.Ref() == r.Ref() && slices.Equal(d.Hosts, hosts) &&
			slices.Equal(d.Signatures, r.Signatures) && sameRollout(d.Rollout, req.Rollout) &&
			slices.Equal(d.Selector.Targets, s.Targets) && slices.Equal(d.Selector.Excludes, s.Excludes) &&
			suffices(d.Rollback, req.Rollback, b.catalog.highest(r.App), now) &&
			suffices(d.Fallback, req.Fallback, r.Counter, now) {
			return d
		}
	}
	return nil
}

// suffices reports whether the statement that a deploy has is worth what a new one for
// it is, on hosts that have accepted releases up to the counter newest. Each call signs
// one of its own, at its own time, so they are never equal; whose signatures they have
// is for hosts to judge. Where the old one is worth less, the deploy begins anew: a plan
// is written once, hosts may have judged by the old statement already, and those that
// went back do nothing.
func suffices(old, next *control.Rollback, newest uint64, now time.Time) bool {
	if old == nil || next == nil {
		return old == next
	}
	was, is := old.Statement, next.Statement
	return was.Counter == is.Counter && was.SHA256 == is.SHA256 && was.Ref() == is.Ref() &&
		was.Replaces >= min(newest, is.Replaces) && lastsLikeWise(was, is, now) &&
		len(old.Signatures) >= len(next.Signatures)
}

// lastsLikeWise reports whether a statement has at least half of the time left that the
// next one has: hosts that come later need it too.
func lastsLikeWise(was, is release.Rollback, now time.Time) bool {
	switch {
	case was.Expires.IsZero():
		return true
	case is.Expires.IsZero():
		return false
	}
	return was.Expires.Sub(now) >= is.Expires.Sub(now)/2
}

// sameRollout compares as documents have it: what a document leaves out is the same as
// what is empty.
func sameRollout(a, b release.Rollout) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return cmp.Or(errX, errY) == nil && bytes.Equal(x, y)
}

// inWords is what a rollout says, after a comma, by the names that files and documents
// have.
func inWords(r release.Rollout) string {
	var words []string
	if len(r.Waves) > 0 {
		words = append(words, "wave "+strings.Trim(strings.ReplaceAll(fmt.Sprint(r.Waves), " ", ","), "[]"))
	}
	if r.WavePause > 0 {
		words = append(words, "wave_pause "+r.WavePause.String())
	}
	if r.HostsAtOnce > 0 {
		words = append(words, fmt.Sprintf("hosts_at_once %d", r.HostsAtOnce))
	}
	if r.MaxFailures != nil {
		words = append(words, "max_failures "+r.MaxFailures.String())
	}
	if r.OnFailure != "" {
		words = append(words, "on_failure "+string(r.OnFailure))
	}
	if r.FetchOnly {
		words = append(words, "fetch_only")
	}
	if len(words) == 0 {
		return ""
	}
	return ", " + strings.Join(words, ", ")
}
