package hook

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// startAgent runs the command in a process of its own.
func startAgent(t *testing.T, c Command) *exec.Cmd {
	t.Helper()
	b, err := json.Marshal(errand{c.Argv, c.Dir, c.Timeout, c.Record})
	if err != nil {
		t.Fatal(err)
	}
	agent := exec.Command(os.Args[0])
	agent.Env = append(os.Environ(), agentKey+"="+string(b))
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	return agent
}

// kill9 kills an agent once the record has the hook's process, and returns it.
func kill9(t *testing.T, agent *exec.Cmd, record string) ident {
	t.Helper()
	var r noted
	eventually(t, "record of the process", func() bool {
		b, err := os.ReadFile(record)
		return err == nil && json.Unmarshal(b, &r) == nil && r.Process.PID != 0
	})
	if err := agent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := agent.Wait(); err == nil {
		t.Fatal("the agent was not killed")
	}
	return r.Process
}

type noted = record

// exclusive is a hook that notices another one beside it.
const exclusive = `mkdir lock || { echo beside >>overlap; exit 9; }
echo begins >>log; echo $$ >>pids
while [ -e wait ]; do echo still here; sleep 0.02; done
echo ends >>log; rmdir lock`

// TestAgentKilled kills an agent whose hook prints, and starts another: the
// first hook runs to its end, and the second only then.
func TestAgentKilled(t *testing.T) {
	c := script(t, exclusive)
	c.Record = filepath.Join(c.Dir, "record")
	wait := filepath.Join(c.Dir, "wait")
	if err := os.WriteFile(wait, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := kill9(t, startAgent(t, c), c.Record)
	done := make(chan error, 1)
	go func() {
		_, err := Run(t.Context(), c)
		done <- err
	}()
	select {
	case err := <-done:
		t.Fatalf("the second hook did not wait: %v", err)
	case <-time.After(500 * time.Millisecond):
	}
	if !alive(first.PID) {
		t.Error("the first hook ended with its agent")
	}
	if err := os.Remove(wait); err != nil {
		t.Fatal(err)
	}
	check(t, <-done, "")
	if got := read(t, c.Dir, "log"); got != "begins\nends\nbegins\nends\n" {
		t.Errorf("log %q", got)
	}
	if _, err := os.Stat(c.Record); !os.IsNotExist(err) {
		t.Errorf("record: %v", err)
	}
}

// TestAgentKilledHookHangs ends the first hook when its time is over.
func TestAgentKilledHookHangs(t *testing.T) {
	c := script(t, exclusive)
	c.Record, c.Timeout = filepath.Join(c.Dir, "record"), 2*time.Second
	wait := filepath.Join(c.Dir, "wait")
	if err := os.WriteFile(wait, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := kill9(t, startAgent(t, c), c.Record)
	result, err := Run(t.Context(), c)
	check(t, err, "status 9") // the first could not remove its lock
	if result.Tail == "" || alive(first.PID) {
		t.Errorf("result %+v, first hook alive: %v", result, alive(first.PID))
	}
}

// TestClockJumpsWhileAHookIsAlone sets the clock forward, for all that the record
// shows, and back: the first hook has its time, and no more.
func TestClockJumpsWhileAHookIsAlone(t *testing.T) {
	const left = time.Second
	for _, jump := range []time.Duration{24 * time.Hour, -24 * time.Hour} {
		c := script(t, exclusive)
		c.Record, c.Timeout = filepath.Join(c.Dir, "record"), time.Minute
		if err := os.WriteFile(filepath.Join(c.Dir, "wait"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		first := kill9(t, startAgent(t, c), c.Record)
		r, err := readRecord(c.Record)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		up, err := uptime()
		if err != nil {
			t.Fatal(err)
		}
		r.Ends, r.Deadline = up+left, r.Deadline.Add(-jump)
		if err := r.save(); err != nil {
			t.Fatal(err)
		}
		run(t, c, "status 9")
		if took := time.Since(begun); took < left || took > 15*time.Second {
			t.Errorf("clock jumped by %s: the first hook had %s", jump, took)
		}
		wantDead(t, first.PID)
	}
}

// TestServerDoesNotHoldTheRecord leaves a server behind, in either order of
// the agent's and the hook's end.
func TestServerDoesNotHoldTheRecord(t *testing.T) {
	c := script(t, `[ -e child ] && exit 0; sleep 300 >/dev/null 2>&1 & echo $! >child; while [ -e wait ]; do sleep 0.02; done`)
	c.Record = filepath.Join(c.Dir, "record")
	wait := filepath.Join(c.Dir, "wait")
	if err := os.WriteFile(wait, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := kill9(t, startAgent(t, c), c.Record)
	server := pidIn(t, c, "child")
	if err := os.Remove(wait); err != nil {
		t.Fatal(err)
	}
	wantDead(t, first.PID)
	begun := time.Now()
	run(t, c, "")
	run(t, c, "")
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	if !alive(server) {
		t.Error("the server was ended")
	}
	kill(t, server)
}

// TestAgentKilledBeforeTheNote finds a hook of which only the id is known.
func TestAgentKilledBeforeTheNote(t *testing.T) {
	c := script(t, exclusive)
	c.Record = filepath.Join(c.Dir, "record")
	if err := os.WriteFile(filepath.Join(c.Dir, "wait"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := kill9(t, startAgent(t, c), c.Record)
	r, err := readRecord(c.Record)
	if err != nil {
		t.Fatal(err)
	}
	r.Process = ident{}
	r.Ends, r.Deadline = 0, time.Now() // as an earlier crow noted it
	if err := r.save(); err != nil {
		t.Fatal(err)
	}
	found, err := r.find()
	if err != nil || found == nil || found.ident != first {
		t.Fatalf("found %+v, %v, want %+v", found, err, first)
	}
	run(t, c, "status 9")
	if alive(first.PID) {
		t.Error("the first hook is still alive")
	}
}

func TestCancelWhileWaiting(t *testing.T) {
	c := script(t, exclusive)
	c.Record = filepath.Join(c.Dir, "record")
	if err := os.WriteFile(filepath.Join(c.Dir, "wait"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := kill9(t, startAgent(t, c), c.Record)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Run(ctx, c); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if !alive(first.PID) {
		t.Error("the first hook was ended")
	}
	kill(t, first.PID)
}

// TestStrangersAreLeftAlone notes processes that are no hooks: one with another
// start time, one of another boot, one that does not lead a group.
func TestStrangersAreLeftAlone(t *testing.T) {
	c := script(t, "exit 0")
	c.Record = filepath.Join(c.Dir, "record")
	me, err := inspect(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRecord(c.Record, 0)
	if err != nil {
		t.Fatal(err)
	}
	later, otherBoot := *r, *r
	later.Process = ident{me.PID, me.Start + 1}
	otherBoot.Process, otherBoot.Boot = me.ident, "another"
	for _, r := range []record{later, otherBoot} {
		if err := r.save(); err != nil {
			t.Fatal(err)
		}
		run(t, c, "")
	}
	stranger := exec.Command("/bin/sleep", "300") // in the test's own group
	if err := stranger.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { // it was killed
		if err := stranger.Wait(); err == nil {
			t.Error("the stranger ended by itself")
		}
	}()
	p, err := inspect(stranger.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	follower := *r
	follower.Process = p.ident
	if err := follower.save(); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), c); !errors.Is(err, errBusy) {
		t.Errorf("error %v, want errBusy", err)
	}
	if err := stranger.Process.Kill(); err != nil {
		t.Errorf("the stranger was ended: %v", err)
	}
}

func TestBrokenRecords(t *testing.T) {
	c := script(t, "exit 0")
	c.Record = filepath.Join(c.Dir, "record")
	for _, content := range []string{"", "{", `{"process":{"pid":-1}}`, strings.Repeat("x", 1<<20), "null"} {
		if err := os.WriteFile(c.Record, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		run(t, c, "")
	}
	c.Record = filepath.Join(c.Dir, "no/such/folder/record")
	run(t, c, "note hook")
}

// TestRecordsOfOtherApps saves a record beside that of an app whose name is
// nearly the same.
func TestRecordsOfOtherApps(t *testing.T) {
	dir := t.TempDir()
	other, err := newRecord(filepath.Join(dir, "web.new"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRecord(filepath.Join(dir, "web"), time.Minute); err != nil {
		t.Fatal(err)
	}
	if r, err := readRecord(other.path); err != nil || r == nil || r.ID != other.ID {
		t.Errorf("the other app's record is %+v, %v", r, err)
	}
}

func TestParseStat(t *testing.T) {
	line := `42 (a) b (c)) S 1 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2`
	p, err := parseStat(42, line)
	if err != nil || p != (other{ident{42, 987654}, 40, false}) {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"", "42", "42 (x) S 1", strings.Replace(line, "987654", "x", 1), strings.Replace(line, "40 40", "x 40", 1)} {
		if _, err := parseStat(42, bad); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}
