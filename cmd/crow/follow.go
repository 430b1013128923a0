package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"crow/internal/control"
)

// How a deploy is followed. A long poll returns at the next change; its wait
// is also how often an unchanged state is shown again. pollPause keeps a busy
// fleet, where every moment brings a change, from making the client spin.
const (
	pollWait       = 2 * time.Second
	pollPause      = 100 * time.Millisecond
	retryPause     = time.Second
	defaultTimeout = 30 * time.Minute
)

// follower waits for a deploy's end.
type follower struct {
	// poll returns the deploy's status once it is newer than the revision, or
	// after wait.
	poll    func(ctx context.Context, after uint64, wait time.Duration) (control.DeployStatus, error)
	show    func(control.DeployStatus) // is given each answer
	alert   func(string)
	timeout time.Duration
}

// follow returns the deploy's status once it has a result, or the last known one and why it
// waits no longer: the timeout, or the end of ctx, which leaves the deploy
// alone. A seeder that falls silent meanwhile is asked again until the
// timeout: it may just be restarting.
func (f follower) follow(ctx context.Context, st control.DeployStatus) (control.DeployStatus, error) {
	waiting, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	f.show(st)
	silent := false
	for !isSettled(st) {
		next, err := f.poll(waiting, st.Revision, pollWait)
		pause := pollPause
		switch {
		case ctx.Err() != nil:
			return st, detached(st)
		case waiting.Err() != nil:
			return st, f.timeoutFault(st, silent)
		case passes(err):
			if !silent {
				f.alert(clip(oneLine(textOf(err)), maxErrorLine) + "; the deploy goes on, trying again")
			}
			silent, pause = true, retryPause
		case err != nil:
			return st, fmt.Errorf("follow deploy %s: %w", st.Deploy, err)
		default:
			if silent {
				f.alert("the seeder is back")
			}
			st, silent = next, false
			f.show(st)
		}
		if !isSettled(st) {
			rest(waiting, pause)
		}
	}
	return st, nil
}

// passes reports whether an error may pass by itself: the seeder is gone,
// stopping, or in trouble of its own.
func passes(err error) bool {
	answer, ok := errors.AsType[*control.Error](err)
	return errors.Is(err, control.ErrUnreachable) || ok && answer.Code == control.CodeInternal
}

func (f follower) timeoutFault(st control.DeployStatus, silent bool) error {
	state := fleetOf(st).counts()
	if silent {
		state = "the seeder does not answer; before: " + state
	}
	text := fmt.Sprintf("timed out after %s waiting for deploy %s of %s@%s, which %s: %s",
		f.timeout, st.Deploy, st.App, st.Version, ongoing(st), state)
	if waited := stragglers(st); len(waited) > 0 {
		text += "; waits for " + fitting(waited, stragglersShown, maxErrorLine-len(text))
	}
	return &fault{kind: timedOut, hint: "crow status " + st.Deploy, text: text}
}

// Limits of the hosts that a timeout names.
const (
	stragglersShown = 5
	stragglerReason = 60 // characters
)

// stragglers are the hosts that a deploy waits for, each with its phase and the
// reason that the seeder gives.
func stragglers(st control.DeployStatus) []string {
	var all []string
	for _, h := range st.Hosts {
		if h.Late || h.Phase.Ended() {
			continue
		}
		state := h.Phase.String()
		if h.Reason != "" {
			state += ": " + clip(oneLine(h.Reason), stragglerReason)
		}
		all = append(all, fmt.Sprintf("%s (%s)", oneLine(h.Name), state))
	}
	return all
}

// fitting is someOf with at most most words, and fewer where they would be
// longer than room, in bytes; one at least is told.
func fitting(words []string, most, room int) string {
	for n := most; n > 1; n-- {
		if text := someOf(words, n); len("; waits for ")+len(text) <= room {
			return text
		}
	}
	return someOf(words, 1)
}

func detached(st control.DeployStatus) error {
	return &fault{
		kind: interrupted, hint: "crow status " + st.Deploy,
		text: fmt.Sprintf("detached: deploy %s of %s@%s %s", st.Deploy, st.App, st.Version, ongoing(st)),
	}
}

// rest waits for d or for ctx to end.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
