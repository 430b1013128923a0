package swarm

import "time"

// Announce timing. A transfer that lacks neighbours asks again soon, whatever
// the tracker's interval: a swarm ramps up in seconds.
const (
	hungryInterval = 1500 * time.Millisecond // incomplete, and few neighbours; doubled up to
	maxHungry      = 12 * time.Second
	retryInterval  = 500 * time.Millisecond // after a failure, doubled up to
	maxRetry       = 15 * time.Second
	// firstPatience is how long an answer is waited for: a tracker takes some
	// milliseconds, and one answer that was lost must not cost a fetch much. After a
	// failure it is doubled up to maxPatience, for the tracker that is slow.
	firstPatience = time.Second
	maxPatience   = 5 * time.Second
)

// pace decides when to announce to a tracker next, and how long to wait for its answer.
type pace struct {
	retry    time.Duration // after the next failure
	hungry   time.Duration // at most this long while neighbours are few
	patience time.Duration
}

func newPace() *pace {
	return &pace{retry: retryInterval, hungry: hungryInterval, patience: firstPatience}
}

// next returns how long to wait after an announce that failed, or that the
// tracker answered with an interval. A transfer that lacks neighbours asks soon,
// but ever less often: in a small swarm there are no more.
func (p *pace) next(interval time.Duration, failed, complete bool, neighbours int) time.Duration {
	if failed {
		interval, p.retry = p.retry, min(2*p.retry, maxRetry)
		p.patience = min(2*p.patience, maxPatience)
		return interval
	}
	p.retry = retryInterval
	if complete || neighbours >= enoughNeighbours {
		p.hungry = hungryInterval
		return interval
	}
	interval, p.hungry = min(interval, p.hungry), min(2*p.hungry, maxHungry)
	return interval
}
