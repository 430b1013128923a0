package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"crow/internal/control"
)

// agentKey makes the test binary an agent that runs one hook, so that a test
// can kill it.
const agentKey = "CROW_TEST_AGENT"

func TestMain(m *testing.M) {
	if c := os.Getenv(agentKey); c != "" {
		runAgent(c)
		return
	}
	goleak.VerifyTestMain(m)
}

// errand is what of a Command an agent under test is told.
type errand struct {
	Argv    []string
	Dir     string
	Timeout time.Duration
	Record  string
}

func runAgent(command string) {
	var e errand
	if err := json.Unmarshal([]byte(command), &e); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	result, err := Run(context.Background(), Command{Argv: e.Argv, Dir: e.Dir, Timeout: e.Timeout, Record: e.Record})
	fmt.Printf("%+v %v\n", result, err)
}

// script writes a shell script and returns the command that runs it in a new
// folder.
func script(t testing.TB, body string) Command {
	t.Helper()
	dir := t.TempDir()
	at := filepath.Join(dir, "hook")
	if err := os.WriteFile(at, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Command{Argv: []string{at}, Dir: dir, Timeout: time.Minute}
}

// run runs the command and checks the error: empty is none.
func run(t testing.TB, c Command, wantError string) control.HookResult {
	t.Helper()
	result, err := Run(t.Context(), c)
	check(t, err, wantError)
	return result
}

func check(t testing.TB, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error: %v", err)
	case want != "" && err == nil:
		t.Errorf("no error, want %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("error %q, want %q", err, want)
	case err != nil && strings.Contains(err.Error(), "\n"):
		t.Errorf("error of more than one line: %q", err)
	}
}

// eventually polls until ok holds.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	for end := time.Now().Add(20 * time.Second); !ok(); <-ticks.C {
		if time.Now().After(end) {
			t.Fatalf("in vain: %s", what)
		}
	}
}

// pidIn reads a process id that a hook has written to a file of its folder.
func pidIn(t testing.TB, c Command, name string) int {
	t.Helper()
	var pid int
	eventually(t, "process id in "+name, func() bool {
		b, err := os.ReadFile(filepath.Join(c.Dir, name))
		if err != nil || !strings.HasSuffix(string(b), "\n") {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(b)))
		return err == nil
	})
	return pid
}

func alive(pid int) bool {
	p, err := inspect(pid)
	return err == nil && !p.dead
}

func wantDead(t testing.TB, pid int) {
	t.Helper()
	eventually(t, fmt.Sprintf("end of process %d", pid), func() bool { return !alive(pid) })
}

func read(t testing.TB, parts ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
