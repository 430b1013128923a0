package hook

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Controllers of control groups (version 2) that hold limits.
const (
	memoryController  = "memory"
	processController = "pids"
)

// Names of the control groups that an agent makes.
const (
	agentGroup = "crow-agent"
	cagePrefix = "crow-hook-"
)

// Cgroup is the control group below which each hook with limits gets one of its
// own, a cage. It is the one that the agent's own is in, so that cages stand
// beside the agent.
//
// They do not stand below it, since the kernel lets a group hold processes or
// hand out controllers, not both. Systemd starts an agent in its service's
// group; up to version 253 it cannot do so, and gives the service up, while a
// hook of the agent before lives on in a group below that has limits.
type Cgroup struct {
	dir string
	own bool // it may be told which controllers to hand out
	log *zap.Logger

	mu    sync.Mutex
	inUse map[string]bool // cages of hooks that are being run
}

// OpenCgroup finds out whether hooks with these limits can be held, and removes
// cages that hooks of an earlier agent have left. It is nil without an error if
// none of the limits needs it. The error says why they cannot be held here; the
// hooks then run without.
func OpenCgroup(log *zap.Logger, all ...Limits) (*Cgroup, error) {
	var need []string
	if slices.ContainsFunc(all, func(l Limits) bool { return l.Memory > 0 }) {
		need = append(need, memoryController)
	}
	if slices.ContainsFunc(all, func(l Limits) bool { return l.Processes > 0 }) {
		need = append(need, processController)
	}
	if len(need) == 0 {
		return nil, nil
	}
	g, err := findGroup(log)
	if err != nil {
		return nil, err
	}
	if err := g.handOut(need); err != nil {
		return nil, err
	}
	g.sweep()
	for _, l := range all {
		trial, err := g.cage(l)
		if err != nil {
			return nil, err
		}
		trial.remove(0)
	}
	return g, nil
}

func findGroup(log *zap.Logger) (*Cgroup, error) {
	// Without this call no process can be started in a group. It is for it to
	// refuse an empty argument, and for old kernels and filters to refuse it.
	if _, _, err := unix.RawSyscall(unix.SYS_CLONE3, 0, 0, 0); err == unix.ENOSYS || err == unix.EPERM {
		return nil, fmt.Errorf("start in a control group: %w", err)
	}
	own, top, err := ownCgroup()
	if err != nil {
		return nil, err
	}
	g := &Cgroup{dir: own, own: own == top, log: log, inUse: map[string]bool{}}
	if own != top {
		g.dir = filepath.Dir(own)
		g.own = g.dir == top || isDelegated(g.dir)
	}
	return g, nil
}

// handOut sees to it that cages get the controllers.
func (g *Cgroup) handOut(controllers []string) error {
	b, err := os.ReadFile(filepath.Join(g.dir, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	given := strings.Fields(string(b))
	missing := slices.DeleteFunc(slices.Clone(controllers), func(c string) bool { return slices.Contains(given, c) })
	if len(missing) == 0 {
		return nil
	}
	if !g.own {
		return fmt.Errorf("control group %s does not limit %s, and is not the agent's to change", g.dir, strings.Join(missing, " and "))
	}
	enable := "+" + strings.Join(missing, " +")
	err = g.write("cgroup.subtree_control", enable)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("the kernel does not limit %s in groups of version 2", strings.Join(missing, " and "))
	case !errors.Is(err, unix.EBUSY):
		return err
	}
	return g.makeWay(enable)
}

// makeWay is for when the agent itself keeps its group from handing out
// controllers, at the top of its container: it goes into a group of its own.
func (g *Cgroup) makeWay(enable string) error {
	if err := g.moveSelf(agentGroup); err != nil {
		return err
	}
	err := g.write("cgroup.subtree_control", enable)
	if err != nil {
		err = both(err, g.moveSelf("."))
		_ = unix.Rmdir(filepath.Join(g.dir, agentGroup)) // unless another agent is in it
	}
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("%w: other processes share the agent's control group", err)
	}
	return err
}

func (g *Cgroup) moveSelf(below string) error {
	if err := os.Mkdir(filepath.Join(g.dir, below), 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return g.write(filepath.Join(below, "cgroup.procs"), strconv.Itoa(os.Getpid()))
}

func (g *Cgroup) write(name, value string) error {
	return os.WriteFile(filepath.Join(g.dir, name), []byte(value), 0)
}

// sweep removes cages in which nothing runs any more. The kernel refuses to
// remove others.
func (g *Cgroup) sweep() {
	names, err := filepath.Glob(filepath.Join(g.dir, cagePrefix+"*"))
	if err != nil { // of a pattern
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, name := range names {
		if !g.inUse[name] && !isOthers(name) {
			_ = unix.Rmdir(name)
		}
	}
}

// cageName begins with the agent, of which there may be several on a host: a
// cage that is not inhabited yet is for its own agent alone to remove.
func (g *Cgroup) cageName() string {
	return filepath.Join(g.dir, fmt.Sprintf("%s%d-%s", cagePrefix, os.Getpid(), rand.Text()))
}

// isOthers reports whether a cage is that of another agent, which lives.
func isOthers(name string) bool {
	owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(name), cagePrefix), "-")
	pid, err := strconv.Atoi(owner)
	return err == nil && pid > 0 && pid != os.Getpid() && !errors.Is(unix.Kill(pid, 0), unix.ESRCH)
}
