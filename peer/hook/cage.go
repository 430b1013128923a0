package hook

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// cage is the control group of one run of a hook. It outlives the run while
// something that the hook left behind lives in it. A nil cage holds nothing.
type cage struct {
	group  *Cgroup
	limits Limits
	dir    string
	f      *os.File // dir, for the hook to be started in
}

// setting is one file of a cage.
type setting struct {
	name, value string
	optional    bool // older kernels, or those without swap, do not have it
}

func (l Limits) settings() []setting {
	var all []setting
	if l.Memory > 0 {
		page := int64(os.Getpagesize()) // the kernel counts in pages
		all = append(all,
			setting{"memory.max", strconv.FormatInt(int64(l.Memory)/page*page, 10), false},
			setting{"memory.swap.max", "0", true},
			// All end together: what is left of a hook that lost a process at
			// random goes on as if nothing was.
			setting{"memory.oom.group", "1", true})
	}
	if l.Processes > 0 {
		all = append(all, setting{"pids.max", strconv.Itoa(int(l.Processes)), false})
	}
	return all
}

// cage makes one for limits that need it. A nil group has none.
func (g *Cgroup) cage(l Limits) (*cage, error) {
	if g == nil || len(l.settings()) == 0 {
		return nil, nil
	}
	g.sweep()
	c := &cage{group: g, limits: l, dir: g.cageName()}
	g.mu.Lock()
	g.inUse[c.dir] = true
	g.mu.Unlock()
	if err := c.build(); err != nil {
		c.remove(0)
		return nil, fmt.Errorf("hold limits: %w", err)
	}
	return c, nil
}

func (c *cage) build() (err error) {
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	for _, s := range c.limits.settings() {
		err := os.WriteFile(filepath.Join(c.dir, s.name), []byte(s.value), 0)
		// In a folder of the kernel's, a file that is not there cannot be made.
		missing := errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)
		if err != nil && (!missing || !s.optional) {
			return err
		}
	}
	c.f, err = os.Open(c.dir)
	return err
}

// explain adds to a hook's failure what the limits had to do with it.
func (c *cage) explain(err error) error {
	if c == nil || err == nil {
		return err
	}
	memory := events(c.read("memory.events"))
	switch {
	case memory["oom_kill"] > 0 && memory["oom"] > 0:
		err = fmt.Errorf("%w: memory limit of %s exceeded", err, c.limits.Memory)
	case memory["oom_kill"] > 0:
		err = fmt.Errorf("%w: this host ran out of memory", err)
	}
	if events(c.read("pids.events"))["max"] > 0 {
		err = fmt.Errorf("%w: limit of %d processes reached", err, c.limits.Processes)
	}
	return err
}

// lost says which limit was taken away while the hook ran, by the hook itself or
// by who else minds control groups here.
func (c *cage) lost() error {
	for _, s := range c.limits.settings() {
		if got := strings.TrimSpace(c.read(s.name)); !s.optional && got != s.value {
			return fmt.Errorf("%s in %s is %q, want %s", s.name, c.dir, got, s.value)
		}
	}
	return nil
}

func (c *cage) read(name string) string {
	b, err := os.ReadFile(filepath.Join(c.dir, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// events reads a file of counts, one in each line behind its name.
func events(text string) map[string]uint64 {
	all := map[string]uint64{}
	for line := range strings.Lines(text) {
		name, count, _ := strings.Cut(strings.TrimSpace(line), " ")
		if n, err := strconv.ParseUint(count, 10, 64); err == nil {
			all[name] = n
		}
	}
	return all
}

// end is for after the run, which ended with err.
func (c *cage) end(err error) {
	if c == nil {
		return
	}
	if lost := c.lost(); lost != nil {
		c.group.log.Warn("limit of a hook did not hold", zap.Error(lost))
	}
	grace := killGrace // a killed process is gone in a moment
	if err == nil {
		grace = 0 // what was left behind stays
	}
	c.remove(grace)
}

// remove takes the cage away once it is empty, or leaves it to a later sweep
// when it is not within d.
func (c *cage) remove(d time.Duration) {
	if c == nil {
		return
	}
	if c.f != nil {
		c.f.Close()
	}
	for end, wait := time.Now().Add(d), minGroupPoll; errors.Is(unix.Rmdir(c.dir), unix.EBUSY) && time.Now().Before(end); {
		time.Sleep(wait)
		wait = min(2*wait, maxGroupPoll)
	}
	c.group.mu.Lock()
	delete(c.group.inUse, c.dir)
	c.group.mu.Unlock()
}
