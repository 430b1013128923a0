package rollout

import (
	"fmt"

	"crow/internal/release"
)

// headcount is how many of a deploy's hosts stand where.
type headcount struct {
	all, active, failed, staged int
	first                       string // of those that failed, and why
}

// Failed is how many of the hosts that count have failed.
func Failed(stands []Stand) int { return count(stands).failed }

func count(stands []Stand) headcount {
	t := headcount{all: len(stands)}
	for _, s := range stands {
		if s.Forgotten {
			t.all--
			continue
		}
		switch shown := s.Shown(); shown.Phase {
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

// ended reports whether nothing is left to be done for any host that counts.
func (t headcount) ended(p Program) bool {
	done := t.active + t.failed
	if p.FetchOnly {
		done += t.staged
	}
	return done == t.all
}

func (t headcount) failures() string {
	if t.failed == 1 {
		return fmt.Sprintf("1 of %d hosts failed: %s", t.all, t.first)
	}
	return fmt.Sprintf("%d of %d hosts failed, first %s", t.failed, t.all, t.first)
}
