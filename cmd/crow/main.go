// Command crow carries a build to every server of a fleet at the speed of one
// transfer, and sets it live there.
//
// This package owns what a user touches: commands, flags, config files, the
// environment, signals, rendering and exit codes. What the commands do lives
// in the seeder, peer and tracker packages and in internal/control.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/term"
)

func main() {
	ctx, stop := untilSignal(context.Background())
	code := run(ctx, os.Args, terminalOf(os.Stdout, os.Stderr))
	stop()
	os.Exit(code)
}

// streams are where a command writes: results to out, progress, notes and
// errors to err.
type streams struct {
	out, err io.Writer
	terminal bool // err is a terminal that can redraw its lines
	color    bool // err shows colors, and the user wants them
}

func terminalOf(out, err *os.File) streams {
	// A terminal without a size, as build servers have, shows no bars.
	width, height, sizeErr := term.GetSize(int(err.Fd()))
	terminal := sizeErr == nil && width > 0 && height > 0 && os.Getenv("TERM") != "dumb"
	return streams{out: out, err: err, terminal: terminal, color: terminal && os.Getenv("NO_COLOR") == ""}
}

// run runs one command line, and reports a failure on the error stream.
func run(ctx context.Context, args []string, std streams) int {
	err := newApp(std).run(ctx, args)
	if err == nil {
		return exitOK
	}
	d := diagnose(err)
	d.print(std)
	return d.code
}

// sameSignal is how soon after the first signal another one is the same wish:
// timeout(1), make and terminals deliver one to the process and to its group.
const sameSignal = time.Second

// untilSignal returns a context that the first SIGINT, SIGTERM or SIGHUP ends;
// a later one ends the process at once, for when a graceful stop hangs. A
// terminal that closes is no such wish: the shell and the kernel each send
// SIGHUP when they get to it.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup(1) is to be heeded
		signal.Notify(signals, syscall.SIGHUP)
	}
	go func() {
		<-signals
		cancel()
		for first := time.Now(); ; {
			again := <-signals
			if again != syscall.SIGHUP && time.Since(first) > sameSignal {
				os.Exit(exitInterrupted)
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); cancel() }
}
