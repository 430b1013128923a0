package release

import (
	"fmt"
	"strconv"
	"time"
)

// Rollout says how a deploy goes live on its hosts: in which steps, and when it
// stops. The zero Rollout lets every host go live as soon as it has the release,
// and stops for nothing.
type Rollout struct {
	// Waves are how many of the hosts are live at the end of each wave, counted
	// from the deploy's begin; the last is all of them. With waves nobody goes live
	// before every host has fetched, or failed to. None: one wave, without that wait.
	Waves     []Share  `json:"wave,omitempty"`
	WavePause Duration `json:"wave_pause,omitempty"` // from a wave's end to the next one
	// HostsAtOnce bounds the hosts that are going live at the same time; 0: all of
	// a wave.
	HostsAtOnce int `json:"hosts_at_once,omitempty"`
	// MaxFailures is how many hosts may fail, in their fetch or when they go live,
	// before the deploy stops and counts as failed. Nil: with waves, or a bound on
	// the hosts at once, none; else the deploy stops for nothing, and any failure
	// makes it a failed one in the end.
	MaxFailures *Share    `json:"max_failures,omitempty"`
	OnFailure   OnFailure `json:"on_failure,omitempty"` // what stopping means
	FetchOnly   bool      `json:"fetch_only,omitempty"` // end when all hosts have it staged
}

// OnFailure is what a deploy does when too many hosts have failed.
type OnFailure string

// The ways to stop. The empty one is OnFailurePause.
const (
	OnFailurePause    OnFailure = "pause"    // nobody else goes live until somebody decides
	OnFailureRollback OnFailure = "rollback" // those that went live go back to the previous release
)

// Bounds of a rollout's fields.
const (
	MaxWaves     = 100
	MaxWavePause = 7 * 24 * time.Hour
)

// RolloutError says what of a Rollout makes no sense. It is an ErrInvalid.
type RolloutError struct {
	Field   string // as files name it
	Value   string // what of it is wrong; empty where it is the field as such
	Problem string
}

// Error implements error.
func (e *RolloutError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%v %s: %s", ErrInvalid, e.Field, e.Problem)
	}
	return fmt.Sprintf("%v %s %s: %s", ErrInvalid, e.Field, e.Value, e.Problem)
}

// Unwrap lets errors.Is find ErrInvalid.
func (e *RolloutError) Unwrap() error { return ErrInvalid }

func invalid(field, value, format string, args ...any) error {
	return &RolloutError{Field: field, Value: value, Problem: fmt.Sprintf(format, args...)}
}

// Validate checks every field by itself, and that the waves grow to all hosts. The
// error is a RolloutError.
func (r Rollout) Validate() error {
	switch {
	case r.WavePause < 0 || time.Duration(r.WavePause) > MaxWavePause:
		return invalid("wave_pause", r.WavePause.String(), "want 0s to %s", MaxWavePause)
	case r.WavePause > 0 && len(r.Waves) < 2:
		return invalid("wave_pause", r.WavePause.String(), "there is no second wave to wait for; want waves too, such as 1,10%%,100%%")
	case r.HostsAtOnce < 0 || r.HostsAtOnce > MaxShare:
		return invalid("hosts_at_once", strconv.Itoa(r.HostsAtOnce), "want 1 to %d", MaxShare)
	case r.OnFailure != "" && r.OnFailure != OnFailurePause && r.OnFailure != OnFailureRollback:
		return invalid("on_failure", fmt.Sprintf("%.40q", string(r.OnFailure)), "want %s or %s", OnFailurePause, OnFailureRollback)
	case r.FetchOnly && (len(r.Waves) > 0 || r.HostsAtOnce > 0 || r.OnFailure == OnFailureRollback):
		return invalid("fetch_only", "", "no host goes live, so waves, a bound on the hosts at once and going back on failure mean nothing")
	}
	return validateWaves(r.Waves)
}

func validateWaves(waves []Share) error {
	if len(waves) == 0 {
		return nil
	}
	if len(waves) > MaxWaves {
		return invalid("wave", "", "%d of them, at most %d are allowed", len(waves), MaxWaves)
	}
	for i, w := range waves {
		switch {
		case w.n == 0:
			return invalid("wave", w.String(), "no host")
		case i > 0 && w.percent == waves[i-1].percent && w.n <= waves[i-1].n:
			return invalid("wave", fmt.Sprintf("%s after %s", w, waves[i-1]), "each counts the hosts of those before it too, and must be more")
		}
	}
	if last := waves[len(waves)-1]; last != Percent(100) {
		return invalid("wave", last.String(), "the last one must be 100%%, for all hosts to get the release")
	}
	return nil
}

// Ends are how many of n hosts are live at the end of each wave. A wave that adds
// nobody is left out.
func (r Rollout) Ends(n int) []int {
	var ends []int
	last := 0
	for _, w := range r.Waves {
		if end := w.Up(n); end > last {
			ends, last = append(ends, end), end
		}
	}
	if last < n {
		ends = append(ends, n)
	}
	return ends
}

// Together reports whether nobody goes live before all have fetched.
func (r Rollout) Together() bool { return len(r.Waves) > 0 }

// Stops reports whether failures stop the deploy, and how many of n hosts may
// fail before.
func (r Rollout) Stops(n int) (allowed int, stops bool) {
	if r.MaxFailures != nil {
		return r.MaxFailures.Down(n), true
	}
	return 0, len(r.Waves) > 0 || r.HostsAtOnce > 0 || r.OnFailure != ""
}
