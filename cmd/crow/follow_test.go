package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"crow/internal/control"
	"crow/internal/release"
)

// answer is what a poll gives, after a time.
type answer struct {
	st    control.DeployStatus
	err   error
	after time.Duration
}

var (
	running    = answer{st: control.DeployStatus{Deploy: "d-1", App: "web", Version: "1"}, after: pollWait}
	succeeded  = answer{st: control.DeployStatus{Deploy: "d-1", App: "web", Version: "1", Phase: release.DeploySucceeded}}
	byFailures = answer{st: control.DeployStatus{Deploy: "d-1", App: "web", Version: "1", Phase: release.DeployPaused, PausedBy: control.PausedByFailures}}
	byOperator = answer{st: control.DeployStatus{Deploy: "d-1", App: "web", Version: "1", Phase: release.DeployPaused, PausedBy: control.PausedByOperator}, after: pollWait}
	broken     = answer{err: fmt.Errorf("%w: connection refused", control.ErrUnreachable)}
)

// play follows a deploy that is answered by turns; the last answer is repeated.
func play(ctx context.Context, timeout time.Duration, answers ...answer) (st control.DeployStatus, notes []string, shown int, err error) {
	f := follower{
		poll: func(ctx context.Context, _ uint64, _ time.Duration) (control.DeployStatus, error) {
			a := answers[0]
			if len(answers) > 1 {
				answers = answers[1:]
			}
			rest(ctx, a.after)
			if ctx.Err() != nil {
				return control.DeployStatus{}, fmt.Errorf("%w: %w", control.ErrUnreachable, ctx.Err())
			}
			return a.st, a.err
		},
		show:    func(control.DeployStatus) { shown++ },
		alert:   func(line string) { notes = append(notes, line) },
		timeout: timeout,
	}
	st, err = f.follow(ctx, running.st)
	return st, notes, shown, err
}

func TestFollow(t *testing.T) {
	refused := answer{err: &control.Error{Code: control.CodeNotFound, Message: "no deploy d-1"}}
	cases := []struct {
		name    string
		answers []answer
		phase   release.DeployPhase
		code    int
		notes   []string
		took    time.Duration
	}{
		{"to its end", []answer{running, succeeded}, release.DeploySucceeded, exitOK, nil, pollWait + pollPause},
		{
			"a seeder that restarts", []answer{broken, broken, running, succeeded}, release.DeploySucceeded, exitOK,
			[]string{"seeder unreachable: connection refused; the deploy goes on, trying again", "the seeder is back"},
			2*retryPause + pollWait + pollPause,
		},
		{
			"a seeder that is stopping", []answer{{err: &control.Error{Code: control.CodeInternal, Message: "the seeder is stopping"}}, succeeded},
			release.DeploySucceeded, exitOK, []string{"the seeder is stopping; the deploy goes on, trying again", "the seeder is back"}, retryPause,
		},
		{"paused by failures", []answer{running, byFailures, succeeded}, release.DeployPaused, exitOK, nil, pollWait + pollPause},
		{"paused by an operator", []answer{byOperator, byOperator, running, succeeded}, release.DeploySucceeded, exitOK, nil, 3 * (pollWait + pollPause)},
		{"paused for ever", []answer{byOperator}, release.DeployPaused, exitTimeout, nil, time.Minute},
		{"for ever", []answer{running}, release.DeployRunning, exitTimeout, nil, time.Minute},
		{
			"a seeder that stays away", []answer{broken}, release.DeployRunning, exitTimeout,
			[]string{"seeder unreachable: connection refused; the deploy goes on, trying again"}, time.Minute,
		},
		{"a deploy that is gone", []answer{refused}, release.DeployRunning, exitUsage, nil, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				st, notes, _, err := play(t.Context(), time.Minute, c.answers...)
				if code := codeFor(err); st.Phase != c.phase || code != c.code {
					t.Errorf("ended %s with %d (%v), want %s with %d", st.Phase, code, err, c.phase, c.code)
				}
				if !slices.Equal(notes, c.notes) {
					t.Errorf("notes %q, want %q", notes, c.notes)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("took %s, want %s", took, c.took)
				}
			})
		})
	}
}

func codeFor(err error) int {
	if err == nil {
		return exitOK
	}
	return diagnose(err).code
}

func TestFollowDetaches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, _, _, err := play(ctx, time.Minute, running)
		d := diagnose(err)
		if d.code != exitInterrupted || d.text != "detached: deploy d-1 of web@1 goes on" || d.hint != "crow status d-1" {
			t.Errorf("got %+v", d)
		}
	})
}

func TestFollowTellsOfTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, _, err := play(t.Context(), 90*time.Second, broken)
		if !strings.Contains(err.Error(), "after 1m30s") || !strings.Contains(err.Error(), "goes on") || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("got %v", err)
		}
	})
}

// TestWaitingForAPausedDeploy holds that a deploy which nobody lets go on is not
// said to go on.
func TestWaitingForAPausedDeploy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if _, _, _, err := play(ctx, time.Minute, byOperator); err.Error() != "detached: deploy d-1 of web@1 is paused" {
			t.Errorf("got %v", err)
		}
		if _, _, _, err := play(t.Context(), time.Minute, byOperator); !strings.Contains(err.Error(), "of web@1, which is paused: ") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTimeoutNamesStragglers holds that a timeout tells whom the deploy waits
// for, as far as a line has room.
func TestTimeoutNamesStragglers(t *testing.T) {
	many := make([]control.HostStatus, 0, 40)
	for i := range cap(many) {
		many = append(many, hostIn(fmt.Sprintf("web-%d", i), release.Fetching, 0, 0))
	}
	long := slices.Clone(many)
	for i := range long {
		long[i].Reason = strings.Repeat("why ", 100)
	}
	late := hostIn("late", release.Fetching, 0, 0)
	late.Late = true
	away := control.HostStatus{Name: "web-2", Reason: "unreachable: last heard 40s ago"}
	cases := []struct {
		name  string
		hosts []control.HostStatus
		want  string
	}{
		{"some", []control.HostStatus{failedHook("f"), hostIn("a", release.Active, 0, 0), late, away, hostIn("web-3", release.Activating, 0, 0)},
			"; waits for web-2 (pending: unreachable: last heard 40s ago), web-3 (activating)"},
		{"many", many, "; waits for web-0 (fetching), web-1 (fetching), web-2 (fetching), web-3 (fetching), web-4 (fetching) and 35 more"},
		{"long reasons", long, "… and 38 more"},
		{"nobody", nil, "0/0 hosts"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := follower{timeout: time.Minute}.timeoutFault(statusWith(c.hosts...), false)
			text := strings.ReplaceAll(err.Error(), "…)", "…")
			if !strings.HasSuffix(text, c.want) || utf8.RuneCountInString(err.Error()) > maxErrorLine {
				t.Errorf("%d characters: %s", len(err.Error()), err)
			}
		})
	}
}

// TestFollowRests holds that a deploy with news at every moment does not make
// the client spin.
func TestFollowRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		busy := running
		busy.after = 0
		_, _, shown, err := play(t.Context(), 10*time.Second, busy)
		if most := int(10*time.Second/pollPause) + 2; shown > most || codeFor(err) != exitTimeout {
			t.Errorf("shown %d times, want at most %d; %v", shown, most, err)
		}
	})
}

func TestFollowEndedDeploy(t *testing.T) {
	f := follower{
		poll: func(context.Context, uint64, time.Duration) (control.DeployStatus, error) {
			return control.DeployStatus{}, errors.New("polled")
		},
		show: func(control.DeployStatus) {}, timeout: time.Second,
	}
	if st, err := f.follow(t.Context(), succeeded.st); err != nil || st.Phase != release.DeploySucceeded {
		t.Errorf("got %s, %v", st.Phase, err)
	}
}
