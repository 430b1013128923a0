package hook

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ident names one process of one boot for ever: ids come back, but not with the
// same start time.
type ident struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot, as in /proc/PID/stat
}

// other is a process that is not this agent's child.
type other struct {
	ident
	group int
	dead  bool // a zombie that waits for its parent
}

// Fields of /proc/PID/stat behind the program's name (proc(5)), counted from 0.
const (
	statState = 0
	statGroup = 2
	statStart = 19
)

// inspect looks at a process. The error of one that is not there is
// fs.ErrNotExist.
func inspect(pid int) (other, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, unix.ESRCH) { // it went between open and read
		err = fs.ErrNotExist
	}
	if err != nil {
		return other{}, err
	}
	return parseStat(pid, string(b))
}

func parseStat(pid int, stat string) (other, error) {
	// The name is in parentheses and may hold any byte, parentheses too.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= statStart {
		return other{}, fmt.Errorf("read /proc/%d/stat: too short", pid)
	}
	grp, err := strconv.Atoi(fields[statGroup])
	if err != nil {
		return other{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	start, err := strconv.ParseUint(fields[statStart], 10, 64)
	if err != nil {
		return other{}, fmt.Errorf("read /proc/%d/stat: %w", pid, err)
	}
	state := fields[statState]
	return other{ident: ident{pid, start}, group: grp, dead: state == "Z" || state == "X"}, nil
}

// processes lists the ids of all processes of the host.
func processes() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

func (o *other) alive() bool {
	now, err := inspect(o.PID)
	return err == nil && now.ident == o.ident && !now.dead
}

// endGroup ends the process group that o leads.
func (o *other) endGroup() error {
	if o.group == o.PID && o.alive() {
		group(o.group).end()
	}
	if o.alive() {
		return fmt.Errorf("%w: process %d", errBusy, o.PID)
	}
	return nil
}

// maxEnviron bounds what is read of a process's environment, in bytes. The
// variable that is searched for stands near its beginning.
const maxEnviron = 64 << 10

// search returns the oldest process with that variable in its environment, or
// nil: it is the hook, all others are its children. Processes that this user
// may not look at are not hooks of this user's agent.
func search(variable string) (*other, error) {
	pids, err := processes()
	if err != nil {
		return nil, fmt.Errorf("look for an earlier hook: %w", err)
	}
	var oldest *other
	for _, pid := range pids {
		if !hasVariable(pid, variable) {
			continue
		}
		p, err := inspect(pid)
		if err == nil && (oldest == nil || p.olderThan(*oldest)) {
			oldest = &p
		}
	}
	return oldest, nil
}

// olderThan orders processes by their start. A tick is 10 ms, in which a hook
// may well have started others; the hook is the one that leads its group.
func (o other) olderThan(p other) bool {
	if o.Start != p.Start {
		return o.Start < p.Start
	}
	return o.group == o.PID && p.group != p.PID
}

func hasVariable(pid int, variable string) bool {
	f, err := os.Open(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEnviron))
	if err != nil {
		return false
	}
	for v := range bytes.SplitSeq(b, []byte{0}) {
		if string(v) == variable {
			return true
		}
	}
	return false
}

// BootID is new with each boot of the machine.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}
