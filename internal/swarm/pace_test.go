package swarm

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	type event struct {
		interval         time.Duration
		failed, complete bool
		neighbours       int
		want             time.Duration
	}
	const long = time.Minute
	for name, events := range map[string][]event{
		"failures are retried ever less often": {
			{failed: true, want: retryInterval}, {failed: true, want: time.Second}, {failed: true, want: 2 * time.Second},
			{failed: true, want: 4 * time.Second}, {failed: true, want: 8 * time.Second}, {failed: true, want: maxRetry}, {failed: true, want: maxRetry},
			{interval: long, neighbours: 20, want: long}, {failed: true, want: retryInterval},
		},
		"a hungry transfer asks soon, then less": {
			{interval: long, want: hungryInterval}, {interval: long, want: 2 * hungryInterval}, {interval: long, want: 4 * hungryInterval},
			{interval: long, want: maxHungry}, {interval: long, want: maxHungry},
			{interval: long, neighbours: enoughNeighbours, want: long}, {interval: long, neighbours: 1, want: hungryInterval},
		},
		"a short interval stands":        {{interval: time.Second, want: time.Second}},
		"a complete one is never hungry": {{interval: long, complete: true, want: long}},
	} {
		p := newPace()
		for i, e := range events {
			if got := p.next(e.interval, e.failed, e.complete, e.neighbours); got != e.want {
				t.Errorf("%s: step %d: %s, want %s", name, i, got, e.want)
			}
		}
	}
}

// Who is slow is waited for ever longer, and then no less.
func TestPacePatience(t *testing.T) {
	p := newPace()
	for i, want := range []time.Duration{firstPatience, 2 * time.Second, 4 * time.Second, maxPatience, maxPatience} {
		if p.patience != want {
			t.Errorf("after %d failures: %s, want %s", i, p.patience, want)
		}
		p.next(0, true, false, 0)
	}
	if p.next(time.Minute, false, false, 0); p.patience != maxPatience {
		t.Errorf("after an answer: %s", p.patience)
	}
}
