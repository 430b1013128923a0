package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"crow/internal/release"
)

// Decide judges every host and then the deploy. It ends when all hosts have; it
// is paused by somebody, or by too many failures; else it goes on. Silence counts from
// since on: hosts could not be heard before.
func Decide(p Program, c Course, since time.Time, stands []Stand, now time.Time) Outcome {
	o := Outcome{Course: c, Verdicts: make([]string, len(stands)), Quiet: make([]string, len(stands))}
	stands = slices.Clone(stands)
	before := Permitted(p, c, stands)
	for i := range stands {
		if s := &stands[i]; !p.done(*s) {
			s.Verdict = verdict(p, o.Began, o.deadline(p, *s, before[i], since), since, *s, now)
			o.Verdicts[i], o.Quiet[i] = s.Verdict, quiet(p, since, *s, now)
		}
	}
	t := count(stands)
	allowed, stops := p.Stops(len(stands))
	over := stops && t.failed > max(allowed, o.Forgiven)
	switch {
	case t.ended(p) && !o.waitsForLate(p):
		o.end(t, allowed)
		o.Fallback = o.Phase == release.DeployFailed && over && p.OnFailure == release.OnFailureRollback
	case over && p.OnFailure == release.OnFailureRollback:
		o.Phase, o.Reason, o.Fallback, o.Hold = release.DeployFailed, t.failures(), true, HoldFailures
	case t.ended(p):
		o.Phase, o.Waits = release.DeployRunning, "hosts that joined late to try again: "+strings.Join(p.Late, ", ")
	case over && o.Hold == HoldNone:
		o.Hold = HoldFailures
		fallthrough
	case o.Hold != HoldNone:
		o.pause(t, allowed)
	default:
		o.Phase = release.DeployRunning
		o.advance(p, stands, t, now)
	}
	o.May = Permitted(p, o.Course, stands)
	o.All = HadTurns(p, o.Course, stands, o.May)
	return o
}

// waitsForLate reports whether hosts outside the count are still to try again, and may:
// while the deploy is held, or has not let everybody go, they could not end.
func (o *Outcome) waitsForLate(p Program) bool {
	return len(p.Late) > 0 && o.Hold == HoldNone && (p.FetchOnly || o.Wave == len(p.WaveEnds))
}

func (o *Outcome) end(t headcount, allowed int) {
	o.Phase, o.Reason = release.DeploySucceeded, ""
	switch {
	case t.failed > allowed:
		o.Phase, o.Reason = release.DeployFailed, t.failures()
	case t.failed > 0:
		o.Reason = fmt.Sprintf("%s; up to %d were allowed to", t.failures(), allowed)
	}
}

func (o *Outcome) pause(t headcount, allowed int) {
	o.Phase, o.Reason = release.DeployPaused, "paused by an operator"
	switch {
	case o.Hold != HoldFailures:
	case t.failed == 0:
		o.Reason = "paused after failures; no host is failed now"
	default:
		o.Reason = fmt.Sprintf("paused: %s; up to %d were allowed to", t.failures(), allowed)
	}
	o.Waits = "somebody to resume, retry or abort it"
}

// advance opens the next wave when its time has come.
func (o *Outcome) advance(p Program, stands []Stand, t headcount, now time.Time) {
	fetching := t.all - t.staged - t.active - t.failed
	if p.FetchOnly || p.Together() && o.Wave == 0 && fetching > 0 {
		o.Waits = fmt.Sprintf("%d of %d hosts to fetch it: %s", fetching, t.all, slowest(stands, fetches))
		return
	}
	o.Wave = max(o.Wave, 1)
	for {
		if open, earlier := o.unfinished(p, stands); len(open) > 0 {
			o.WaveEnded = time.Time{}
			o.Waits = o.waitsFor(p, open, earlier)
			return
		}
		if o.WaveEnded.IsZero() {
			o.WaveEnded = now
		}
		next := o.WaveEnded.Add(time.Duration(p.WavePause))
		if o.Wave == len(p.WaveEnds) {
			return // all have ended: headcount.ended has seen that
		}
		if now.Before(next) {
			o.Waits = "the pause before wave " + fmt.Sprintf("%d of %d, until %s", o.Wave+1, len(p.WaveEnds), next.UTC().Format(time.RFC3339))
			return
		}
		o.Wave, o.WaveEnded = o.Wave+1, time.Time{}
	}
}

// unfinished are the hosts of the open waves that have not ended, and whether one of
// them is of another wave than the last of these.
func (o *Outcome) unfinished(p Program, stands []Stand) (open []Stand, earlier bool) {
	for turn, i := range p.Turns[:p.WaveEnds[o.Wave-1]] {
		if !stands[i].Shown().Phase.Ended() {
			open, earlier = append(open, stands[i]), earlier || turn < p.begin(o.Wave)
		}
	}
	return open, earlier
}

// deadline is when a host has to have finished what it may do; zero: it waits for
// others.
func (o *Outcome) deadline(p Program, s Stand, may bool, since time.Time) time.Time {
	switch {
	case may && s.Let.IsZero(): // it is told just now
		return time.Time{}
	case may || s.Verdict != "" && !s.Let.IsZero(): // the verdict took its place: it had its hour all the same
		return later(later(s.Let, o.Began).Add(p.Limit), since.Add(p.Grace))
	case s.Phase >= release.Staged:
		return time.Time{}
	}
	return later(o.Began.Add(p.Limit), since.Add(p.Grace))
}
