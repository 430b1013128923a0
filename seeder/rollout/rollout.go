// Package rollout decides how a deploy goes on.
//
// It owns the rules: from a deploy's Program, the Course it has taken, where its
// hosts stand and the time, to who may go live and where the deploy stands
// (Decide); and what a host's Row becomes by a report. These are plain functions
// of their arguments, without clock, lock or disk: the seeder's ledger calls them,
// keeps what they say, and does it.
package rollout

import (
	"time"

	"crow/internal/release"
)

// Program is what a deploy was asked to do, as far as deciding goes.
type Program struct {
	release.Rollout
	Turns    []int         // hosts, as indexes, in the order in which they go live
	WaveEnds []int         // of Turns, how many have had theirs at the end of each wave
	Grace    time.Duration // of silence
	Knock    time.Duration // from the deploy's begin, or a retry: nobody becomes unreachable in it, a host may answer the order
	Limit    time.Duration // for a host to fetch, and again to go live
	Aside    int           // hosts outside the count that go live now, or may by an earlier order: they take places of hosts_at_once too
	// Late are hosts outside the count that were told to try again, and have not ended.
	Late []string
	// Onward is a way back from a deploy that failed: failures do not stop it.
	Onward bool
}

// Stops is release.Rollout.Stops of n hosts, but for a way back.
func (p Program) Stops(n int) (allowed int, stops bool) {
	if p.Onward {
		return 0, false
	}
	return p.Rollout.Stops(n)
}

// done reports whether a host has nothing more to do in the deploy, by its own word.
func (p Program) done(s Stand) bool {
	return s.Phase.Ended() || p.FetchOnly && s.Phase == release.Staged
}

// begin is how many hosts have their turn before a wave.
func (p Program) begin(wave int) int {
	if wave < 2 {
		return 0
	}
	return p.WaveEnds[wave-2]
}

// Course is how far a deploy has come: the part of its result that Decide goes on
// from.
type Course struct {
	Began     time.Time `json:"began,omitzero"`      // when it did, or was last resumed: fetching has its time from here
	Wave      int       `json:"wave,omitempty"`      // that is open, counted from 1; 0: none yet
	WaveEnded time.Time `json:"wave_ended,omitzero"` // when all hosts of that wave had ended; zero: not yet
	Hold      Hold      `json:"hold,omitempty"`      // why nobody else goes live
	Forgiven  int       `json:"forgiven,omitempty"`  // failures that somebody has seen, and let pass
}

// Hold is why no further host of a deploy may go live.
type Hold string

// The holds. A deploy that has ended is held too, if it has not let everybody go.
const (
	HoldNone     Hold = ""
	HoldOperator Hold = "operator"
	HoldFailures Hold = "failures"
)

// Stand is what is known of one host that a deploy counts.
type Stand struct {
	Row
	Heard time.Time // when the host was last known to be there
	Gone  bool      // gossip calls it failed
	Told  bool      // it may go live by what was decided last
	// Lingers says that an earlier order lets it go live, and that it may be at that still.
	Lingers bool
	// Spared is when its silence begins to count, where it could not be heard before.
	Spared time.Time
}

// silence is for how long a host could have been heard, and was not. Nobody could be
// before since.
func (s Stand) silence(since, now time.Time) time.Duration {
	return now.Sub(later(later(s.Heard, s.Spared), since))
}

// Outcome is where a deploy stands and what follows.
type Outcome struct {
	Course
	Phase    release.DeployPhase
	Reason   string
	Waits    string   // what has to happen for the deploy to go on
	Verdicts []string // for each stand
	Quiet    []string // for each stand
	May      []bool   // for each stand: it may go live
	All      bool     // every host has had its turn to
	Fallback bool     // the deploy failed, and who went live, or may have, is to go back
}
