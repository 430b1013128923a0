package hook

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"crow/internal/release"
)

// Limits say who a hook runs as and bound what it may use. The zero value is
// the agent's own user, and no bounds. What a hook leaves behind keeps them.
type Limits struct {
	User      string       `yaml:"user"`      // name or uid; empty: the agent's own
	Nice      Whole        `yaml:"nice"`      // -20 (first) to 19 (last); 0: as the agent
	Memory    release.Size `yaml:"memory"`    // bytes of the hook and all that it starts, without swap; 0: no limit
	Processes Whole        `yaml:"processes"` // threads included; 0: no limit
}

// Bounds of limits. A shell with nothing to do needs some MiB: less was meant
// to have another unit. More processes than maxProcesses no kernel has.
const (
	minNice, maxNice              = -20, 19
	minMemory        release.Size = 4 << 20
	maxProcesses                  = 4 << 20
)

// maxUserLen bounds a user's name, in bytes; it is the C library's bound.
const maxUserLen = 256

// Whole is a whole number from a config file. A plain int would cut off what
// stands behind a decimal point.
type Whole int

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *Whole) UnmarshalText(b []byte) error {
	v, err := strconv.ParseInt(string(b), 10, 32)
	if err != nil {
		return fmt.Errorf("%w number %q: want a whole one", release.ErrInvalid, b)
	}
	*n = Whole(v)
	return nil
}

// Validate checks the limits by themselves; Check asks the host. The error is
// release.ErrInvalid and begins with the key.
func (l Limits) Validate() error {
	switch {
	case l.User != "" && !isUser(l.User):
		return fmt.Errorf("user: %w name %q: want a user's name or uid", release.ErrInvalid, l.User)
	case l.Nice < minNice || l.Nice > maxNice:
		return fmt.Errorf("nice: %w value %d: want %d to %d", release.ErrInvalid, l.Nice, minNice, maxNice)
	case l.Memory < 0 || l.Memory > 0 && l.Memory < minMemory:
		return fmt.Errorf("memory: %w size %s: want %s or more, a program needs that much to start", release.ErrInvalid, l.Memory, minMemory)
	case l.Processes < 0 || l.Processes > maxProcesses:
		return fmt.Errorf("processes: %w number %d: want 1 to %d", release.ErrInvalid, l.Processes, maxProcesses)
	}
	return nil
}

// isUser reports whether a user database can have such a name. It excludes
// user:group, which is not supported.
func isUser(name string) bool {
	odd := func(r rune) bool { return r == ':' || r == '/' || unicode.IsSpace(r) || unicode.IsControl(r) }
	return len(name) <= maxUserLen && !strings.ContainsFunc(name, odd)
}

// Check asks this host whether a hook can have the user and the nice value, and
// whether the user may enter dirs. Memory and Processes are for OpenCgroup. The
// error is release.ErrInvalid and begins with the key.
func (l Limits) Check(dirs ...string) error {
	who, err := l.account()
	if err != nil {
		return fmt.Errorf("user: %w: %w", release.ErrInvalid, err)
	}
	if err := l.tryNice(); err != nil {
		return fmt.Errorf("nice: %w value %d: %w", release.ErrInvalid, l.Nice, err)
	}
	if who == nil || !who.foreign {
		return nil
	}
	for _, dir := range dirs {
		if err := who.reach(dir); err != nil {
			return fmt.Errorf("user: %w: %w", release.ErrInvalid, err)
		}
	}
	return nil
}

// tryNice takes the nice value in a thread that ends with it.
func (l Limits) tryNice() error {
	if l.Nice == 0 {
		return nil
	}
	err := inThread(func() error { return l.beNice() })
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		return errors.New("this agent may not take it: below its own it needs root or CAP_SYS_NICE")
	}
	return err
}

// beNice gives the calling thread the nice value; what is started in it
// inherits that from its first instruction on.
func (l Limits) beNice() error {
	if l.Nice == 0 {
		return nil
	}
	return unix.Setpriority(unix.PRIO_PROCESS, 0, int(l.Nice))
}
