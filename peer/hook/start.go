package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A program that was written a moment ago may be open for writing in a process
// that another goroutine is forking, and cannot be run until that one has
// called exec. It takes milliseconds.
const (
	busyRetries = 10
	busyPause   = 50 * time.Millisecond
)

// keepDescriptors sees to it that a hook gets none of the descriptors that the
// agent itself was started with. Go opens its own close-on-exec. Kernels before
// 5.11 cannot do it, and the hook gets them as it would from a shell.
func keepDescriptors() error {
	err := unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return nil
	}
	return err
}

// start runs the program in a process group of its own.
func start(ctx context.Context, c Command, out *os.File) (*process, error) {
	if err := keepDescriptors(); err != nil {
		return nil, fmt.Errorf("start %s: keep descriptors back: %w", c.Argv[0], err)
	}
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("was not started: %w", context.Cause(ctx))
		}
		cmd := c.command(out)
		begun := time.Now()
		err := cmd.Start()
		if err == nil {
			return follow(cmd, begun), nil
		}
		if !errors.Is(err, unix.ETXTBSY) || try == busyRetries {
			return nil, fmt.Errorf("start %s: %w", c.Argv[0], explainStart(c.Argv[0], err))
		}
		pause(ctx, busyPause)
	}
}

func (c Command) command(out *os.File) *exec.Cmd {
	return &exec.Cmd{
		Path: c.Argv[0], Args: c.Argv, Dir: c.Dir, Env: c.Env,
		Stdin: bytes.NewReader(c.Stdin), Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
		WaitDelay:   outputGrace, // for what is left behind without having read its input
	}
}

// explainStart says in plain words why a program could not be run: the kernel
// has the same error for a missing program and a missing interpreter, and for a
// directory and a missing permission.
func explainStart(program string, err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	info, statErr := os.Stat(program)
	switch {
	case statErr != nil:
		return err
	case info.IsDir():
		return fmt.Errorf("it is a directory: %w", err)
	case errors.Is(err, unix.EACCES) && info.Mode()&0o111 == 0:
		return fmt.Errorf("it is not executable (%s): %w", info.Mode(), err)
	case errors.Is(err, unix.ENOENT):
		return fmt.Errorf("the interpreter in its first line is missing: %w", err)
	case errors.Is(err, unix.ENOEXEC):
		return fmt.Errorf("it is not a program, and a script needs a first line such as #!/bin/sh: %w", err)
	}
	return err
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
