package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// needNamespaces skips where none can be made.
func needNamespaces(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: makes network namespaces")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("needs ip, of Debian's iproute2")
	}
	if _, err := exec.LookPath("tc"); err != nil {
		t.Skip("needs tc, of Debian's iproute2")
	}
	n, err := newNetwork(context.Background(), 1)
	if err != nil {
		t.Skipf("no namespaces can be made here: %v", err)
	}
	if err := n.close(); err != nil {
		t.Fatal(err)
	}
}

// crowBinary is the built crow, or one that is built now, with the flags of make
// build, whose compiled packages are then there already.
func crowBinary(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("CROW_BINARY"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "crow")
	build := exec.Command("go", "build", "-trimpath", "-o", path, "crow/cmd/crow")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build crow: %v: %s", err, out)
	}
	return path
}

// nothingLeft checks that a bench removed its namespaces and files.
func nothingLeft(t *testing.T, work string) {
	t.Helper()
	list, err := command(context.Background(), "ip", "netns", "list")
	if err != nil {
		t.Fatal(err)
	}
	isOther := func(pid string) bool { return pid != strconv.Itoa(os.Getpid()) }
	if left := leftBehind(list, isOther); len(left) > 0 {
		t.Errorf("namespaces are left: %v", left)
	}
	if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
		t.Errorf("files are left: %v, %v", left, err)
	}
}

// TestSmoke runs what of the systems is installed, whole, at their smallest.
func TestSmoke(t *testing.T) {
	needNamespaces(t)
	t.Setenv("CROW_CONFIG", "/none") // the caller's own; no push could read it
	t.Setenv("CROW_OUTPUT", "json")
	work, figures := t.TempDir(), filepath.Join(t.TempDir(), "figures.json")
	var out, errs strings.Builder
	code := run(context.Background(), []string{
		"bench", "--hosts", "2", "--size", "1MiB", "--rate", "none", "--crow-binary", crowBinary(t), "--work", work, "--json", figures,
	}, &out, &errs)
	if code != exitDone {
		t.Fatalf("exit %d\n%s\n%s", code, out.String(), errs.String())
	}
	nothingLeft(t, work)
	var r report
	b, err := os.ReadFile(figures)
	if err := errors.Join(err, json.Unmarshal(b, &r)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, o := range r.Results[0].Outcomes {
		seen[o.System] = true
		checkFigures(t, o)
	}
	if !seen[nameHTTP1] || !seen[nameHTTP] || !seen[nameCrow] || !seen[nameCrowTLS] {
		t.Errorf("only %v ran", seen)
	}
}

// checkFigures holds the figures to what no run can be outside of.
func checkFigures(t *testing.T, o outcome) {
	t.Helper()
	hosts := float64(len(o.Seconds))
	switch {
	case o.makespan() <= 0 || o.T1 <= 0 || o.CPU <= 0:
		t.Errorf("%s: no time passed: %+v", o.System, o)
	case o.Copies < 0.99 || o.LinkCopies < 0.99 || o.LinkCopies > 2*hosts:
		t.Errorf("%s: copies sent: %+v", o.System, o)
	case o.SeederPeak < mib || o.WorstPeak < mib:
		t.Errorf("%s: memory: %+v", o.System, o)
	}
}

// TestInterrupt ends a bench in the middle of a transfer that would take
// minutes.
func TestInterrupt(t *testing.T) {
	needNamespaces(t)
	work := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan int, 1)
	go func() {
		var out, errs strings.Builder
		done <- run(ctx, []string{"bench", "--hosts", "2", "--size", "64MiB", "--rate", "2mbit", "--systems", "http1", "--work", work}, &out, &errs)
	}()
	s := stage{}
	err := s.eventually(ctx, func() error {
		got, err := filepath.Glob(filepath.Join(work, "*", "run-*", "host-1.bin"))
		if err == nil && len(got) == 0 {
			err = errors.New("the transfer has not begun")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if code := <-done; code != exitInterrupted {
		t.Errorf("exit %d", code)
	}
	nothingLeft(t, work)
}

// TestStall ends a run that takes longer than it may, and says so.
func TestStall(t *testing.T) {
	needNamespaces(t)
	var out, errs strings.Builder
	work, logs := t.TempDir(), t.TempDir()
	code := run(context.Background(), []string{
		"bench", "--hosts", "2", "--size", "64MiB", "--rate", "2mbit", "--systems", "http1,http", "--limit", "1s", "--work", work, "--logs", logs,
	}, &out, &errs)
	if code != exitFailed || !strings.Contains(out.String(), "- http1, run 1: it was ended after 1s: 0 of 1 deliveries were done") {
		t.Errorf("exit %d: %s", code, out.String())
	}
	if !strings.Contains(out.String(), "| http | 1, **1 failed** |") {
		t.Errorf("the run that could not be compared is dropped: %s", out.String())
	}
	if got, err := filepath.Glob(logs + "/*/server.log"); err != nil || len(got) != 1 {
		t.Errorf("logs that were kept: %v, %v", got, err)
	}
	nothingLeft(t, work)
}
