package main

import (
	"errors"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"crow": main})
}

// TestScripts runs the whole binary, daemons and all, as a user does.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup:               setupScript,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits,
			"await": await,
		},
	})
}

// setupScript gives each script addresses that are free, and no settings of
// the one who runs it.
func setupScript(env *testscript.Env) error {
	for _, name := range []string{"API", "GOSSIP", "OTHER"} {
		addr, err := freePort()
		if err != nil {
			return err
		}
		env.Setenv(name, addr)
	}
	env.Setenv("CROW_SEEDER", "http://"+env.Getenv("API"))
	for _, name := range []string{"CROW_CONFIG", "CROW_OUTPUT", "CROW_PROGRESS", "CROW_LOG_LEVEL", "CROW_QUIET"} {
		env.Setenv(name, "")
	}
	return nil
}

// exits runs a command and checks its exit code: exits CODE PROGRAM ARGS...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitCodeOf(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func exitCodeOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// awaitLimit is how long await tries, and awaitPause how often.
const (
	awaitLimit = 30 * time.Second
	awaitPause = 50 * time.Millisecond
)

// await runs a command again until it succeeds: await PROGRAM ARGS...
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: await PROGRAM ARGS...")
	}
	tick := time.NewTicker(awaitPause)
	defer tick.Stop()
	for end := time.Now().Add(awaitLimit); ; <-tick.C {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("still failing after %s: %v", awaitLimit, err)
		}
	}
}
