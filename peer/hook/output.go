package hook

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// outputGrace is how long output is read on after the hook itself has exited
// while another process holds the other end.
const outputGrace = 2 * time.Second

// outputBuffer is what the pipe holds, in bytes: what a hook can print while
// its agent is restarted. It is the most that the kernel gives by default.
const outputBuffer = 1 << 20

// output is the pipe that takes a hook's standard output and error. One
// goroutine reads it to its end and closes done.
type output struct {
	hookEnd *os.File // for the hook to inherit
	r       *os.File
	done    chan struct{}
	tail    tail // after done
}

func newOutput() (*output, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	// A pipe that is opened anew for reading and writing has a reader as long as
	// it has a writer: no SIGPIPE when the agent is gone.
	fd, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", w.Fd()), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("open output pipe: %w", err)
	}
	o := &output{hookEnd: os.NewFile(uintptr(fd), "hook output"), r: r, done: make(chan struct{})}
	// A hook of another user, or what it runs as one, may print to /dev/stdout by
	// name. Nobody but the hook and its children has a name for it.
	if err := unix.Fchmod(fd, 0o666); err != nil {
		o.hookEnd.Close()
		r.Close()
		return nil, fmt.Errorf("open output pipe to all users: %w", err)
	}
	// A smaller pipe does as well; the kernel may refuse a user with many.
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, outputBuffer); err != nil && !errors.Is(err, unix.EPERM) {
		o.hookEnd.Close()
		r.Close()
		return nil, fmt.Errorf("size output pipe: %w", err)
	}
	go o.read()
	return o, nil
}

func (o *output) read() {
	defer close(o.done)
	buf := make([]byte, 64<<10)
	for {
		n, err := o.r.Read(buf)
		o.tail.write(buf[:n])
		if err != nil { // the end, or the deadline that finish sets
			return
		}
	}
}

// finish ends the output, now that the hook is over, and returns its tail.
func (o *output) finish() string {
	// Processes that the hook left behind share this flag with us. Without it
	// they would wait for ever on a full pipe. When it cannot be set they may.
	_ = unix.SetNonblock(int(o.hookEnd.Fd()), true)
	o.hookEnd.Close()
	if err := o.r.SetReadDeadline(time.Now().Add(outputGrace)); err != nil {
		o.r.Close()
	}
	<-o.done
	o.r.Close()
	return o.tail.String()
}
