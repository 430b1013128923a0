package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"
)

// childGrace is how long children may take to stop before they are killed.
const childGrace = 5 * time.Second

// What is shown of a log when something went wrong.
const (
	tailLines = 8
	tailBytes = 16 << 10
)

// child is crow itself, run as a daemon.
type child struct {
	name    string
	address string
	args    []string
	log     string // path
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	err     error         // why, once done is closed
}

// start starts the child in a process group of its own, so that Ctrl-C at the
// terminal does not reach it before crow tells it to stop. The kernel kills it
// should crow be killed.
func (c *child) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	log, err := os.Create(c.log)
	if err != nil {
		return err
	}
	defer log.Close() // the child has it too
	c.cmd = exec.Command(self, c.args...)
	c.cmd.Args[0] = "crow"
	c.cmd.Stdout, c.cmd.Stderr = log, log
	c.cmd.Env = withoutCrow(os.Environ())
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := c.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", c.name, err)
	}
	c.done = make(chan struct{})
	go func() {
		defer close(c.done)
		c.err = c.cmd.Wait()
	}()
	return nil
}

// withoutCrow drops the user's CROW_* variables: they are for the user's own
// fleet.
func withoutCrow(env []string) []string {
	return slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, "CROW_") })
}

// errEnded is the end of a child that nothing had gone wrong for.
var errEnded = errors.New("exit status 0")

// ended is how the child ended; nil while it runs.
func (c *child) ended() error {
	select {
	case <-c.done:
		return cmp.Or(c.err, errEnded)
	default:
		return nil
	}
}

func (c *child) terminate() { c.signal(syscall.SIGTERM) }

// await waits for the child's end until the deadline, then kills its group.
func (c *child) await(deadline time.Time) {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-c.done:
	case <-timer.C:
		c.signal(syscall.SIGKILL)
		<-c.done
	}
}

// signal signals the child's process group; one that is gone already needs
// none.
func (c *child) signal(s syscall.Signal) {
	if c.ended() == nil {
		_ = syscall.Kill(-c.cmd.Process.Pid, s) // it may end this very moment
	}
}

// tail returns the last lines of the child's log.
func (c *child) tail() string {
	f, err := os.Open(c.log)
	if err != nil {
		return "" // it was not started
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err.Error()
	}
	b := make([]byte, min(info.Size(), tailBytes))
	if _, err := f.ReadAt(b, info.Size()-int64(len(b))); err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}
