package seeder

import (
	"fmt"
	"slices"
	"time"

	"crow/internal/release"
)

// This file decides how a deploy goes on: from its program, how far it has come,
// where its hosts stand and the time, to who may go live and where the deploy
// stands. It is plain functions without clock, lock or disk: the ledger does what
// they say.

// program is what a deploy was asked to do, as far as deciding goes.
type program struct {
	release.Rollout
	turns []int         // hosts, as indexes, in the order in which they go live
	ends  []int         // of turns, how many have had theirs at the end of each wave
	grace time.Duration // of silence
	knock time.Duration // from the deploy's begin, or a retry: nobody becomes unreachable in it, a host may answer the order
	limit time.Duration // for a host to fetch, and again to go live
	aside int           // hosts outside the count that go live now: they take places of hosts_at_once too
	// onward is a way back from a deploy that failed: failures do not stop it.
	onward bool
}

// stops is release.Rollout.Stops of n hosts, but for a way back.
func (p program) stops(n int) (allowed int, stops bool) {
	if p.onward {
		return 0, false
	}
	return p.Stops(n)
}

// course is how far a deploy has come: the part of its result that decide goes on
// from.
type course struct {
	Began     time.Time `json:"began,omitzero"`      // when it did, or was last resumed: fetching has its time from here
	Wave      int       `json:"wave,omitempty"`      // that is open, counted from 1; 0: none yet
	WaveEnded time.Time `json:"wave_ended,omitzero"` // when all hosts of that wave had ended; zero: not yet
	Hold      hold      `json:"hold,omitempty"`      // why nobody else goes live
	Forgiven  int       `json:"forgiven,omitempty"`  // failures that somebody has seen, and let pass
}

// hold is why no further host of a deploy may go live.
type hold string

// The holds. A deploy that has ended is held too, if it has not let everybody go.
const (
	holdNone     hold = ""
	holdOperator hold = "operator"
	holdFailures hold = "failures"
)

// stand is what is known of one host that a deploy counts.
type stand struct {
	row
	heard time.Time // when the host was last known to be there
	gone  bool      // gossip calls it failed
}

// outcome is where a deploy stands and what follows.
type outcome struct {
	course
	phase    release.DeployPhase
	reason   string
	waits    string   // what has to happen for the deploy to go on
	verdicts []string // for each stand
	quiet    []string // for each stand
	may      []bool   // for each stand: it may go live
	all      bool     // every host has had its turn to
	fallback bool     // the deploy failed, and who went live is to go back
}

// headcount is how many of a deploy's hosts stand where.
type headcount struct {
	all, active, failed, staged, live int
	first                             string // of those that failed, and why
}

// decide judges every host and then the deploy. It ends when all hosts have; it
// is paused by somebody, or by too many failures; else it goes on.
func decide(p program, c course, since time.Time, stands []stand, now time.Time) outcome {
	o := outcome{course: c, verdicts: make([]string, len(stands)), quiet: make([]string, len(stands))}
	stands = slices.Clone(stands)
	before := permitted(p, c, stands)
	for i := range stands {
		if s := &stands[i]; !p.done(*s) {
			s.Verdict = verdict(p, o.Began, o.deadline(p, *s, before[i], since), since, *s, now)
			o.verdicts[i], o.quiet[i] = s.Verdict, quiet(p, since, *s, now)
		}
	}
	t := count(stands)
	allowed, stops := p.stops(len(stands))
	over := stops && t.failed > max(allowed, o.Forgiven)
	switch {
	case t.ended(p):
		o.end(t, allowed)
		o.fallback = o.phase == release.DeployFailed && over && p.OnFailure == release.OnFailureRollback && t.live > 0
	case over && p.OnFailure == release.OnFailureRollback:
		o.phase, o.reason, o.fallback, o.Hold = release.DeployFailed, t.failures(), t.live > 0, holdFailures
	case over && o.Hold == holdNone:
		o.Hold = holdFailures
		fallthrough
	case o.Hold != holdNone:
		o.pause(t, allowed)
	default:
		o.phase = release.DeployRunning
		o.advance(p, stands, t, now)
	}
	o.may = permitted(p, o.course, stands)
	o.all = hadTurns(p, o.course, stands, o.may)
	return o
}

// done reports whether a host has nothing more to do in the deploy, by its own word.
func (p program) done(s stand) bool {
	return s.Phase.Ended() || p.FetchOnly && s.Phase == release.Staged
}

// ended reports whether nothing is left to be done for any host.
func (t headcount) ended(p program) bool {
	done := t.active + t.failed
	if p.FetchOnly {
		done += t.staged
	}
	return done == t.all
}

func (o *outcome) end(t headcount, allowed int) {
	o.phase, o.reason = release.DeploySucceeded, ""
	switch {
	case t.failed > allowed:
		o.phase, o.reason = release.DeployFailed, t.failures()
	case t.failed > 0:
		o.reason = fmt.Sprintf("%s; up to %d were allowed to", t.failures(), allowed)
	}
}

func (o *outcome) pause(t headcount, allowed int) {
	o.phase, o.reason = release.DeployPaused, "paused by an operator"
	switch {
	case o.Hold != holdFailures:
	case t.failed == 0:
		o.reason = "paused after failures; no host is failed now"
	default:
		o.reason = fmt.Sprintf("paused: %s; up to %d were allowed to", t.failures(), allowed)
	}
	o.waits = "somebody to resume, retry or abort it"
}

// advance opens the next wave when its time has come.
func (o *outcome) advance(p program, stands []stand, t headcount, now time.Time) {
	fetching := t.all - t.staged - t.active - t.failed
	if p.FetchOnly || p.Together() && o.Wave == 0 && fetching > 0 {
		o.waits = fmt.Sprintf("%d of %d hosts to fetch it: %s", fetching, t.all, slowest(stands, fetches))
		return
	}
	o.Wave = max(o.Wave, 1)
	for {
		if open, earlier := o.unfinished(p, stands); len(open) > 0 {
			o.WaveEnded = time.Time{}
			o.waits = o.waitsFor(p, open, earlier)
			return
		}
		if o.WaveEnded.IsZero() {
			o.WaveEnded = now
		}
		next := o.WaveEnded.Add(time.Duration(p.WavePause))
		if o.Wave == len(p.ends) {
			return // all have ended: headcount.ended has seen that
		}
		if now.Before(next) {
			o.waits = "the pause before wave " + fmt.Sprintf("%d of %d, until %s", o.Wave+1, len(p.ends), next.UTC().Format(time.RFC3339))
			return
		}
		o.Wave, o.WaveEnded = o.Wave+1, time.Time{}
	}
}

// waitsFor words that hosts of the open wave have yet to end. One of an earlier wave
// may be among them: it counted as failed, and is back.
func (o *outcome) waitsFor(p program, open []stand, earlier bool) string {
	hosts, which := p.ends[o.Wave-1]-p.begin(o.Wave), fmt.Sprintf("wave %d", o.Wave)
	if earlier {
		hosts, which = p.ends[o.Wave-1], fmt.Sprintf("waves 1 to %d", o.Wave)
	}
	return fmt.Sprintf("%d of %d hosts of %s of %d: %s", len(open), hosts, which, len(p.ends), slowest(open, anywhere))
}

// begin is how many hosts have their turn before a wave.
func (p program) begin(wave int) int {
	if wave < 2 {
		return 0
	}
	return p.ends[wave-2]
}

// unfinished are the hosts of the open waves that have not ended, and whether one of
// them is of another wave than the last of these.
func (o *outcome) unfinished(p program, stands []stand) (open []stand, earlier bool) {
	for turn, i := range p.turns[:p.ends[o.Wave-1]] {
		if !stands[i].shown().Phase.Ended() {
			open, earlier = append(open, stands[i]), earlier || turn < p.begin(o.Wave)
		}
	}
	return open, earlier
}

// permitted says which hosts may go live: those of the open waves, no more at once
// than the program allows. Who has begun goes on, whatever is held.
func permitted(p program, c course, stands []stand) []bool {
	may := make([]bool, len(stands))
	busy := p.aside
	for i, s := range stands {
		if s.Begun {
			may[i] = true
			if !s.shown().Phase.Ended() {
				busy++
			}
		}
	}
	if c.Wave == 0 {
		return may
	}
	for _, i := range p.queue(p.ends[c.Wave-1], stands) {
		s := stands[i]
		switch {
		case may[i] || c.Hold != holdNone && !s.Retry:
		case s.shown().Phase.Ended():
			// It has had its turn, or missed it: with a bound it may not take that as soon
			// as it is back, when others of its rack are too.
			may[i] = p.HostsAtOnce == 0 || s.Phase.Ended() || !s.Let.IsZero()
		case p.HostsAtOnce == 0 || busy < p.HostsAtOnce:
			may[i] = true
			busy++
		}
	}
	return may
}

// queue is the order in which the first hosts of all turns get a place among those
// that go live at once. Who was told last is first: it has begun, or is about to,
// since one that was told before has fallen silent, and may be back by now.
func (p program) queue(first int, stands []stand) []int {
	queue := p.turns[:first]
	if p.HostsAtOnce == 0 {
		return queue
	}
	queue = slices.Clone(queue)
	slices.SortStableFunc(queue, func(a, b int) int { return stands[b].Let.Compare(stands[a].Let) })
	return queue
}

// hadTurns reports whether every host has had its turn to go live, or missed it.
func hadTurns(p program, c course, stands []stand, may []bool) bool {
	if c.Hold != holdNone || c.Wave < len(p.ends) {
		return false
	}
	for i, s := range stands {
		if !may[i] && !s.shown().Phase.Ended() {
			return false
		}
	}
	return true
}

// deadline is when a host has to have finished what it may do; zero: it waits for
// others.
func (o *outcome) deadline(p program, s stand, may bool, since time.Time) time.Time {
	switch {
	case may && s.Let.IsZero(): // it is told just now
		return time.Time{}
	case may:
		return later(later(s.Let, o.Began).Add(p.limit), since.Add(p.grace))
	case s.Phase >= release.Staged:
		return time.Time{}
	}
	return later(o.Began.Add(p.limit), since.Add(p.grace))
}

func count(stands []stand) headcount {
	t := headcount{all: len(stands)}
	for _, s := range stands {
		if s.Live {
			t.live++
		}
		if s.Forgotten {
			t.all--
			continue
		}
		switch shown := s.shown(); shown.Phase {
		case release.Active:
			t.active++
		case release.Failed:
			if t.failed++; t.failed == 1 {
				t.first = shown.Name + ": " + shown.Reason
			}
		case release.Staged, release.Activating:
			t.staged++
		}
	}
	return t
}

func (t headcount) failures() string {
	if t.failed == 1 {
		return fmt.Sprintf("1 of %d hosts failed: %s", t.all, t.first)
	}
	return fmt.Sprintf("%d of %d hosts failed, first %s", t.failed, t.all, t.first)
}
