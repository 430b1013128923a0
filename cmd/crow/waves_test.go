package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// inWaves is a deploy in three waves whose second is in the state.
func inWaves(second control.WaveState) control.DeployStatus {
	st := statusWith(hostIn("a", release.Active, 0, 0), hostIn("b", release.Staged, 0, 0))
	st.Rollout.WavePause = release.Duration(30 * time.Second)
	st.Waves = []control.WaveStatus{
		{Hosts: 1, Active: 1, State: control.WaveEnded},
		{Hosts: 10, Active: 5, Failed: 1, State: second},
		{Hosts: 20, State: control.WaveWaiting},
	}
	return st
}

func TestWaveLine(t *testing.T) {
	alone := statusWith()
	alone.Waves = []control.WaveStatus{{Hosts: 3, State: control.WaveOpen}}
	first, begin := inWaves(control.WaveWaiting), inWaves(control.WaveWaiting)
	first.Waves[0] = control.WaveStatus{Hosts: 1, State: control.WaveWaiting}
	last := inWaves(control.WaveEnded)
	last.Waves[2].State = control.WaveOpen
	over := ended(inWaves(control.WaveOpen), release.DeployAborted)
	all := inWaves(control.WaveEnded)
	all.Waves[2] = control.WaveStatus{Hosts: 20, Active: 20, State: control.WaveEnded}
	cut := ended(inWaves(control.WaveWaiting), release.DeployAborted)
	cut.Waves[1].Outcome, cut.Waves[2].Outcome = control.OutcomeUnfinished, control.OutcomeNotReached
	none := ended(begin, release.DeployAborted)
	for i := range none.Waves {
		none.Waves[i] = control.WaveStatus{Hosts: 1, State: control.WaveWaiting, Outcome: control.OutcomeNotReached}
	}
	for _, c := range []struct {
		name string
		st   control.DeployStatus
		want string
	}{
		{"cut off", cut, "wave 2/3: 5/10 active, 1 failed; wave 3 not reached"},
		{"never begun", none, "wave 1/3: 0/1 active; waves 1 to 3 not reached"},
		{"open", inWaves(control.WaveOpen), "wave 2/3: 5/10 active, 1 failed, next after 30s pause"},
		{"before it", inWaves(control.WaveWaiting), "wave 1/3: 1/1 active, next after 30s pause"},
		{"fetching", first, "wave 1/3: 0/1 active, not begun"},
		{"the last", last, "wave 3/3: 0/20 active"},
		{"over", over, "wave 2/3: 5/10 active, 1 failed"},
		{"all of them", all, "wave 3/3: 20/20 active"},
		{"one wave", alone, ""},
		{"none", statusWith(), ""},
	} {
		if got := waveLine(c.st); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestPlainTellsOfWaves holds that lines of progress say where a deploy in waves is
// and what it waits for, within a line.
func TestPlainTellsOfWaves(t *testing.T) {
	c := &clock{time.Unix(1000, 0)}
	var b bytes.Buffer
	p := newPlain(&b, c.now)
	st := inWaves(control.WaveOpen)
	st.WaitsFor = "4 hosts to go live:\nb" + strings.Repeat(", c", 500)
	c.advance(9 * time.Second)
	p.fleet(fleetOf(st), 0, 9*time.Second)
	const want = "web@1.42.0: 1/2 hosts, 1 staged, 95%, 9.0s; wave 2/3: 5/10 active, 1 failed, next after 30s pause; waits for: 4 hosts to go live:; b, c"
	if got := b.String(); !strings.HasPrefix(got, want) || len(got) > len(want)+maxNote || strings.Count(got, "\n") != 1 {
		t.Errorf("got %q", got)
	}
}

// TestWatchTellsOfTurns holds that a deploy which is paused while it is followed is
// said to be, once.
func TestWatchTellsOfTurns(t *testing.T) {
	var b bytes.Buffer
	c := &clock{time.Unix(1000, 0)}
	w := (&session{streams: streams{err: &b}}).newWatch(newPlain(&b, c.now))
	st := statusWith(hostIn("a", release.Staged, 0, 0))
	paused := st
	paused.Phase, paused.PausedBy = release.DeployPaused, control.PausedByOperator
	for _, next := range []control.DeployStatus{st, paused, paused, st, ended(paused, release.DeployAborted)} {
		w.show(next, c.now())
	}
	const want = "deploy d-7f3a is paused by an operator: waiting for crow resume d-7f3a\ndeploy d-7f3a goes on\n"
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
}

// TestPauseIsToldWithoutProgress holds that who waits is told why nothing comes, even
// if no progress is wanted.
func TestPauseIsToldWithoutProgress(t *testing.T) {
	var b bytes.Buffer
	w := (&session{streams: streams{err: &b}}).newWatch(silent{&b})
	st := statusWith(hostIn("a", release.Staged, 0, 0))
	st.Phase, st.PausedBy = release.DeployPaused, control.PausedByOperator
	w.show(st, time.Unix(1000, 0))
	if !strings.Contains(b.String(), "is paused by an operator") {
		t.Errorf("got %q", b.String())
	}
}
