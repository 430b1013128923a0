package hook

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// process is a hook that was started. One goroutine waits for it and closes
// done; the fields below are read after that.
type process struct {
	cmd   *exec.Cmd
	begun time.Time
	done  chan struct{}
	err   error // of exec.Cmd.Wait
	took  time.Duration
}

func follow(cmd *exec.Cmd, begun time.Time) *process {
	p := &process{cmd: cmd, begun: begun, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
		p.took = time.Since(begun)
	}()
	return p
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// wait returns once the hook has exited, or was ended because its time was over
// or ctx ended. Unless it exited 0 its group is ended with it.
func (p *process) wait(ctx context.Context, timeout time.Duration) error {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var cause error
	select {
	case <-p.done:
		if cause = p.verdict(); cause == nil {
			return nil
		}
	case <-timer.C:
		cause = fmt.Errorf("timed out after %s", timeout)
	case <-ctx.Done():
		cause = fmt.Errorf("was ended: %w", context.Cause(ctx))
	}
	if !p.end() {
		return fmt.Errorf("%w; some of its processes could not be ended (process group %d)", cause, p.pid())
	}
	return cause
}

// end ends the group and reports whether all of it is gone.
func (p *process) end() bool {
	gone := group(p.pid()).end()
	if p.ended() {
		return gone
	}
	// It moved itself to another group, or cannot die while a device does not
	// answer. In the second case the goroutine of follow waits on.
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return false
	}
	timer := time.NewTimer(killGrace)
	defer timer.Stop()
	select {
	case <-p.done:
		return gone
	case <-timer.C:
		return false
	}
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// ran is how long the hook itself has run.
func (p *process) ran() time.Duration {
	if p.ended() {
		return p.took
	}
	return time.Since(p.begun)
}

func (p *process) exitCode() int {
	if !p.ended() || p.cmd.ProcessState == nil {
		return -1
	}
	return p.cmd.ProcessState.ExitCode()
}

// verdict says how an ended hook fared.
func (p *process) verdict() error {
	state := p.cmd.ProcessState
	switch {
	case state == nil:
		return fmt.Errorf("wait: %w", p.err)
	case state.Success(): // whatever became of its standard input
		return nil
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return fmt.Errorf("was ended by signal %d (%s)", status.Signal(), unix.SignalName(status.Signal()))
	}
	return fmt.Errorf("exited with status %d", state.ExitCode())
}
