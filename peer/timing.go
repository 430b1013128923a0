package peer

import (
	"time"

	"github.com/cenkalti/backoff/v5"

	"crow/internal/control"
)

// timing are the agent's waits. Tests shorten them.
type timing struct {
	stall      time.Duration // a step without headway for so long has failed
	poll       time.Duration // how long a call for orders is held open
	answer     time.Duration // how long a woken poll has to answer before it is begun anew
	idle       time.Duration // at least between polls that brought nothing
	retryMin   time.Duration // the first pause after a failed call
	retryMax   time.Duration // the longest such pause, before jitter
	taken      time.Duration // pause after another host was found to have the name
	report     time.Duration // between reports of mere progress, until a seeder says otherwise
	neighbours time.Duration // between hints from gossip to a transfer
	look       time.Duration // between looks at what is on disk
	silent     time.Duration // how long the disk has to answer one
	note       time.Duration // between notes of where a fetch's bytes came from
}

// defaultTiming suits a datacenter: a seeder that restarts is found again
// within seconds, by a thousand hosts that don't all come at once.
func defaultTiming() timing {
	return timing{
		stall: 5 * time.Minute, poll: control.MaxWait / 2, answer: 500 * time.Millisecond, idle: time.Second,
		retryMin: 100 * time.Millisecond, retryMax: 3 * time.Second, taken: 30 * time.Second,
		report: time.Second, neighbours: 3 * time.Second,
		look: 30 * time.Second, silent: 15 * time.Second, note: 2 * time.Second,
	}
}

// backoff returns pauses that grow from retryMin to retryMax, with jitter.
func (t timing) backoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval = t.retryMin, t.retryMax
	b.Reset()
	return b
}
