package rollout

import (
	"fmt"
	"time"
)

// verdict says why a host counts as failed that did not report an end, or
// nothing. Silence counts from since on: hosts could not be heard before. One that
// stands is not worded anew with each second that passes, nor lifted because the deploy
// was resumed: that asks the host for nothing.
func verdict(p Program, began, until, since time.Time, s Stand, now time.Time) string {
	silence := s.silence(since, now)
	asked := s.Verdict != "" || !now.Before(began.Add(p.Knock))
	silent := silence >= p.Grace && asked
	// Gossip alone is no proof: a host that is there calls more often than this.
	gone := s.Gone && silence >= p.Grace*3/4 && asked
	late := !until.IsZero() && !now.Before(until)
	switch {
	case s.Verdict != "" && (silent || gone || late):
		return s.Verdict
	case silent && s.Heard.IsZero():
		return fmt.Sprintf("unreachable: not heard since the seeder started, it was %s", s.Phase)
	case gone:
		return fmt.Sprintf("unreachable: gossip calls it failed, last heard %s ago, it was %s", silence.Round(time.Second), s.Phase)
	case silent:
		return fmt.Sprintf("unreachable: last heard %s ago, it was %s", now.Sub(s.Heard).Round(time.Second), s.Phase)
	case late:
		return fmt.Sprintf("not finished within %s: it is %s", p.Limit, s.Phase)
	}
	return ""
}

// quiet says that a host has not been heard for half the grace, or nothing. Hosts
// that are there are heard more often than that, by their polls.
func quiet(p Program, since time.Time, s Stand, now time.Time) string {
	if s.silence(since, now) < p.Grace/2 {
		return ""
	}
	if s.Heard.IsZero() {
		return "not reachable: not heard since the seeder started"
	}
	return "not reachable: last heard at " + s.Heard.UTC().Format(time.RFC3339)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
