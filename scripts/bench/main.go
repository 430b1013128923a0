// Command bench times how long crow, plain HTTP and two other BitTorrent
// clients take to bring one file from one machine to N others. It makes the
// machines itself, as network namespaces with links of a chosen rate, and prints
// a table for the README. make bench runs it; it needs root.
//
// crow is measured twice: in the clear, as the others are, and with all that
// protects a fleet. With --scale it is the seeder alone that is measured, by
// hosts that are simulated.
//
// Every figure is taken from outside: a host is done at the modification time
// of a mark that its own process wrote, CPU comes from wait4, memory from /proc.
// Ratios are to http1, one host alone by plain HTTP, in the same run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes, crow's own where they mean the same.
const (
	exitDone        = 0
	exitFailed      = 1 // a run failed, or bench itself
	exitUnable      = 2 // wrong flags, or nothing can run on this machine
	exitInterrupted = 130
)

func main() {
	if code, ok := playRole(os.Args[1:]); ok {
		os.Exit(code)
	}
	// A second signal changes nothing: what was made is to be removed first.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	code := run(ctx, os.Args, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is bench from its arguments to its exit code.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	o, err := parseOptions(args[1:], errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitDone
	case err != nil:
		fmt.Fprintf(errs, "bench: %v\n", err)
		return exitUnable
	}
	machine := inspect(ctx, o.crowBinary)
	if err := errors.Join(machine.needsCrow(o.wanted()), o.checkPaths(), o.checkFiles()); err != nil {
		fmt.Fprintf(errs, "bench: %s\n", oneLine(err))
		return exitUnable
	}
	machine.tidy(ctx, o.work, errs)
	systems, notes := runnable(o.wanted(), machine)
	for _, note := range notes {
		fmt.Fprintf(errs, "bench: %s\n", note)
	}
	if len(systems) == 0 {
		fmt.Fprintln(errs, "bench: nothing is left to run")
		return exitUnable
	}
	b, err := newBench(o, machine, systems, errs)
	if err != nil {
		fmt.Fprintf(errs, "bench: %v\n", err)
		return exitUnable
	}
	defer b.close()
	r := report{Facts: gather(ctx, b.tools.crow, strings.Join(args, " ")), LeftOut: notes}
	if o.fleetSize > 0 {
		r.Scale, err = b.scale(ctx)
	} else {
		r.Results, err = b.run(ctx)
	}
	return conclude(ctx, r, err, o.json, out, errs)
}

// conclude prints what was measured, also after an interruption or an error.
func conclude(ctx context.Context, r report, err error, path string, out, errs io.Writer) int {
	r.Interrupted = ctx.Err() != nil
	if !r.empty() {
		fmt.Fprint(out, r.markdown())
		err = errors.Join(err, r.writeJSON(path))
	}
	if err != nil && !r.Interrupted {
		fmt.Fprintf(errs, "bench: %v\n", err)
	}
	switch {
	case r.Interrupted:
		fmt.Fprintln(errs, "bench: interrupted; its namespaces and files are removed")
		return exitInterrupted
	case err != nil && r.empty():
		return exitUnable
	case err != nil || r.failed():
		return exitFailed
	}
	return exitDone
}
