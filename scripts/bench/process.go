package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long processes may take to say goodbye before they are
// killed.
const stopGrace = 10 * time.Second

// part is what a process plays in a run.
type part uint8

const (
	partPeer   part = iota // on a host that gets the file
	partSeeder             // has the file
	partOther              // a tracker, a push
)

// job is a process to start.
type job struct {
	name string // unique in its run; names its log
	host int
	part part
	env  []string // NAME=value, besides bench's own
	args []string
	ends bool // it ends by itself, with code; any other end of a process is a failure
	code int
}

// process is a job that was started.
type process struct {
	job
	log     string // path of its output
	cmd     *exec.Cmd
	done    chan struct{} // closed when it has ended
	err     error         // why, once done is closed
	peak    int64         // bytes; its VmHWM before it was told to stop
	stopped bool          // by us
}

// within are the arguments that run a job in its host's namespace; without a
// network it is run as it is.
func (n *network) within(j job) []string {
	if n == nil {
		return j.args
	}
	return append([]string{"ip", "netns", "exec", n.name(j.host)}, j.args...)
}

// start runs a job in its host's namespace, in a process group of its own,
// which Ctrl-C at the terminal does not reach. The kernel kills it should bench
// be killed. ip execs the program in its own place: the process is the program.
func (n *network) start(dir string, j job) (*process, error) {
	p := &process{job: j, log: filepath.Join(dir, j.name+".log"), done: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has it too
	args := n.within(j)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.Env = append(environ(), j.env...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", j.name, err)
	}
	go func() {
		defer close(p.done)
		p.err = p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// fault is why the process ended where it should not have; nil while it runs.
func (p *process) fault() error {
	if p.stopped || !p.ended() || p.ends && p.cmd.ProcessState.ExitCode() == p.code {
		return nil
	}
	err := p.err
	if err == nil {
		err = errors.New("exit status 0")
	}
	return fmt.Errorf("%s ended: %w: %s", p.name, err, p.lastWords())
}

// lastWords is the last line of the process's log.
func (p *process) lastWords() string {
	const most = 300 // of it; enough for an error
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	b = bytes.TrimSpace(b)
	line := string(b[bytes.LastIndexByte(b, '\n')+1:])
	return line[:min(len(line), most)]
}

// signal signals the process's whole group.
func (p *process) signal(s syscall.Signal) {
	if !p.ended() {
		_ = syscall.Kill(-p.cmd.Process.Pid, s) // it may end this very moment
	}
}

// cpu is what the process used, with the children that it waited for.
func (p *process) cpu() time.Duration {
	if !p.ended() {
		return 0
	}
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
}

// stopAll notes the memory of processes and ends them: all are told before one
// is waited for. What was stopped before stays as it is.
func stopAll(all []*process) {
	for _, p := range all {
		if !p.stopped && !p.ended() {
			p.peak = peakOf(p.cmd.Process.Pid)
		}
	}
	for _, p := range all {
		p.stopped = true
		p.signal(syscall.SIGTERM)
	}
	deadline := time.NewTimer(stopGrace)
	defer deadline.Stop()
	for i, p := range all {
		select {
		case <-p.done:
			continue
		case <-deadline.C:
		}
		for _, late := range all[i:] {
			late.signal(syscall.SIGKILL)
			<-late.done
		}
		return
	}
}

// peakOf is the most memory that a process has held, in bytes; 0 if it is gone.
func peakOf(pid int) int64 {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	return parseMemory(string(b), "VmHWM:")
}

// parseMemory finds VmHWM or VmRSS in a /proc/PID/status, in bytes: what is in
// memory at most, or now, mapped files included.
func parseMemory(status, key string) int64 {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, key); ok {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			if err == nil {
				return kib << 10
			}
		}
	}
	return 0
}
