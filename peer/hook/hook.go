// Package hook runs the program that sets a release live on a host: without a
// shell, in a fixed environment, within a time, and with bounded output.
//
// It owns the process and its process group from start to end. Which program
// that is, when it runs and what its result means are the caller's.
//
// # What is left behind
//
// A hook may start a server and exit. When it exits 0, processes of its group
// live on. When it fails, times out or is cancelled, its whole process group is
// ended: SIGTERM, and after a grace SIGKILL. A process that made a session of
// its own has left the group and is never touched.
//
// Output goes through a pipe that is read until nobody holds it any more, but
// for no more than a short while after the hook itself has exited. The hook's
// end of the pipe is open for reading too, so that no write to it ever raises
// SIGPIPE; it is made non-blocking when the hook exits, so that what a server
// goes on printing into it is lost instead of stopping the server.
//
// # Limits
//
// A hook may run as another user: its ids, its supplementary groups, HOME, USER
// and LOGNAME are then that user's. What it works with stays the agent's: the
// staged release belongs to the agent's user, and the modes that it was packed
// with say what others may read of it. Who calls Run lets the user's group
// (Limits.Group) into folders that are closed to others. Input and output can be
// opened by name (/dev/stdout) by any user.
//
// The nice value holds from the first instruction. Memory and processes are
// counted by a control group of version 2 that the hook is started in, since
// what setrlimit(2) bounds is each process for itself, or all that a user runs.
// Where there is none, OpenCgroup says so at the start and the two do not hold.
// What a hook leaves behind stays under its limits: a server that is to have
// none is a service manager's to start.
//
// # When the agent is killed
//
// A hook that was ended half-way leaves a host in a state that nobody planned,
// so it is not tied to the agent's life: no parent-death signal, and no SIGPIPE
// as above. It runs on, and the pipe takes another outputBuffer bytes.
//
// But two hooks of one app must not run at once, so the next Run with the same
// Command.Record first waits until that hook has ended, and ends its process
// group when its time is over, by the clock that counts from the boot: the one on
// the wall may have been set since. The record names the hook by process id and start
// time, which no later process has together. A lock that the hook inherits
// would be simpler, but a server that it leaves behind inherits it too and
// would hold it for ever, and a script that uses the descriptor for itself
// would drop it.
//
// The record is written twice: before the start with a random id, which the
// hook has in its environment as CROW_HOOK_RUN, and after it with the process.
// An agent that is killed between the two leaves the id alone, and the
// processes of the host are searched for it.
package hook

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"crow/internal/control"
)

// DefaultTimeout is how long a hook may run when its command does not say.
const DefaultTimeout = 5 * time.Minute

// baseEnv is all of the environment that is the same for every hook; HOME comes
// to it, and with a user USER and LOGNAME. Nothing of the agent's own environment
// is passed on.
var baseEnv = []string{
	"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
	"LANG=C.UTF-8",
}

// Command is one run of a hook.
type Command struct {
	Argv    []string      // absolute path of the program, and its arguments
	Dir     string        // working directory: the staged release
	Env     []string      // KEY=value, in addition to the fixed environment; see Facts.Env
	Stdin   []byte        // see Facts.JSON
	Timeout time.Duration // 0: DefaultTimeout
	// Record is the path of a file in which Run notes the running hook, one for
	// each app; its folder exists. Within one agent the caller makes no two Runs
	// with the same Record at a time; a Run of a restarted agent waits for the
	// hook that the one before it left running. Empty: nothing is noted.
	Record string
	Limits Limits
	Cgroup *Cgroup // holds Memory and Processes of the limits; nil: they are not held

	who *account // of Limits.User; nil: none
}

// Run runs the hook to its end. Exit status 0 is success; everything else is an
// error in one line, to be read after the word hook: an exit status, a signal, a timeout, a program that cannot
// be started, a ctx that ended (its cause is wrapped), or an earlier hook that
// could not be ended. A limit that was met is part of it. The result is always
// filled: Exit is -1 for a hook that a signal ended or that never ran.
//
// After Run nothing of it is left but what an exit 0 left behind on purpose. It
// takes at most the timeout, and the graces for signals and output, and with
// Record the rest of an earlier hook's time.
func Run(ctx context.Context, c Command) (control.HookResult, error) {
	result := control.HookResult{Exit: -1}
	c, err := c.prepare()
	if err != nil {
		return result, err
	}
	if err := awaitOther(ctx, c.Record, c.Timeout); err != nil {
		return result, err
	}
	bars, err := c.Cgroup.cage(c.Limits)
	if err != nil {
		return result, fmt.Errorf("start %s: %w", c.Argv[0], err)
	}
	result, err = c.run(ctx, bars)
	err = bars.explain(err)
	bars.end(err)
	return result, err
}

// run runs a prepared command, which nothing else of its record runs beside.
func (c Command) run(ctx context.Context, bars *cage) (control.HookResult, error) {
	result := control.HookResult{Exit: -1}
	note, err := newRecord(c.Record, c.Timeout)
	if err != nil {
		return result, err
	}
	c.Env = append(c.Env, note.env()...)
	out, err := newOutput()
	if err != nil {
		return result, fmt.Errorf("start %s: %w", c.Argv[0], both(err, note.remove()))
	}
	p, err := start(ctx, c, bars, out.hookEnd)
	if err != nil {
		out.finish()
		return result, both(err, note.remove())
	}
	// Should this fail, the id alone still finds the hook.
	noteErr := note.write(p.pid())
	err = p.wait(ctx, c.Timeout)
	result.Exit, result.Seconds = p.exitCode(), p.ran().Seconds()
	result.Tail = out.finish()
	if p.ended() {
		noteErr = both(noteErr, note.remove())
	}
	if err != nil {
		err = both(err, noteErr)
	}
	// A hook that succeeded has, whatever became of the note: the next Run passes
	// over that of a process that is gone.
	return result, err
}

// both is errors.Join on one line.
func both(err, more error) error {
	switch {
	case err == nil:
		return more
	case more == nil:
		return err
	}
	return fmt.Errorf("%w; %w", err, more)
}

// prepare checks the command and completes it.
func (c Command) prepare() (Command, error) {
	if len(c.Argv) == 0 || !filepath.IsAbs(c.Argv[0]) {
		return c, fmt.Errorf("%q: want the absolute path of a program", c.Argv)
	}
	if info, err := os.Stat(c.Dir); err != nil {
		return c, fmt.Errorf("start %s: working directory: %w", c.Argv[0], err)
	} else if !info.IsDir() {
		return c, fmt.Errorf("start %s: working directory %s is not a directory", c.Argv[0], c.Dir)
	}
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	who, err := c.Limits.account()
	if err != nil {
		return c, fmt.Errorf("start %s: %w", c.Argv[0], err)
	}
	c.who = who
	c.Env = slices.Concat(baseEnv, who.env(), c.Env)
	return c, nil
}
