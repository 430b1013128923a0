package hook

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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

// start runs the program in a process group of its own, and in the cage.
func start(ctx context.Context, c Command, bars *cage, out *os.File) (*process, error) {
	if err := keepDescriptors(); err != nil {
		return nil, fmt.Errorf("start %s: keep descriptors back: %w", c.Argv[0], err)
	}
	in, err := input(c.Stdin)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.Argv[0], err)
	}
	defer in.Close()
	for try := 0; ; try++ {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("was not started: %w", context.Cause(ctx))
		}
		cmd := c.command(in, out)
		bars.admit(cmd.SysProcAttr)
		begun := time.Now()
		err := c.launch(cmd)
		if err == nil {
			return follow(cmd, begun), nil
		}
		if !errors.Is(err, unix.ETXTBSY) || try == busyRetries {
			return nil, fmt.Errorf("start %s: %w", c.Argv[0], c.explainStart(err))
		}
		pause(ctx, busyPause)
	}
}

func (c Command) command(in, out *os.File) *exec.Cmd {
	return &exec.Cmd{
		Path: c.Argv[0], Args: c.Argv, Dir: c.Dir, Env: c.Env, Stdin: in, Stdout: out, Stderr: out,
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Credential: c.who.credential()},
	}
}

// launch starts cmd, if need be in a thread of the hook's nice value.
func (c Command) launch(cmd *exec.Cmd) error {
	if c.Limits.Nice == 0 {
		return cmd.Start()
	}
	return inThread(func() error {
		if err := c.Limits.beNice(); err != nil {
			return fmt.Errorf("take nice value %d: %w", c.Limits.Nice, err)
		}
		return cmd.Start()
	})
}

// admit has a process start in the cage.
func (c *cage) admit(attr *syscall.SysProcAttr) {
	if c != nil {
		attr.UseCgroupFD, attr.CgroupFD = true, int(c.f.Fd())
	}
}

// input is the hook's standard input: memory that reads as a file. It needs
// nobody who writes it, and any user can open it anew as /dev/stdin, which a
// pipe of the agent's would refuse.
func input(b []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("hook input", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make input: %w", err)
	}
	f := os.NewFile(uintptr(fd), "hook input")
	_, err = f.Write(b)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("write input: %w", err)
	}
	return f, nil
}

// explainStart says in plain words why a program could not be run: the kernel
// has the same error for a missing program and a missing interpreter, and for a
// directory and a missing permission.
func (c Command) explainStart(err error) error {
	if p := (*os.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	program := c.Argv[0]
	if errors.Is(err, unix.EACCES) {
		if closed := cmp.Or(c.who.reach(c.Dir), c.who.reach(program)); closed != nil {
			return fmt.Errorf("%w: %w", closed, err)
		}
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
