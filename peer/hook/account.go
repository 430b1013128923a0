package hook

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// account is the user that a hook runs as, from the host's user database.
type account struct {
	name     string
	uid, gid uint32
	groups   []uint32 // supplementary
	home     string
	foreign  bool // not the agent's own user
}

// account looks the user up, at each run: users come and change while an agent
// runs. It is nil for none.
func (l Limits) account() (*account, error) {
	if l.User == "" {
		return nil, nil
	}
	find := user.Lookup
	if _, err := strconv.ParseUint(l.User, 10, 32); err == nil {
		find = user.LookupId
	}
	u, err := find(l.User)
	if err != nil {
		return nil, fmt.Errorf("look up %q in this host's user database: %w", l.User, err)
	}
	a, err := accountOf(u)
	if err != nil {
		return nil, fmt.Errorf("look up groups of %q: %w", l.User, err)
	}
	if a.foreign && !mayChangeUser() {
		return nil, fmt.Errorf("to run hooks as %s the agent needs root (CAP_SETUID, CAP_SETGID, CAP_KILL, CAP_CHOWN), it is uid %d", a.name, os.Geteuid())
	}
	return a, nil
}

func accountOf(u *user.User) (*account, error) {
	groups, err := u.GroupIds()
	if err != nil {
		return nil, err
	}
	ids := make([]uint32, 0, len(groups)+2)
	for _, text := range append([]string{u.Uid, u.Gid}, groups...) {
		id, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, err
		}
		ids = append(ids, uint32(id))
	}
	return &account{
		name: u.Username, uid: ids[0], gid: ids[1], groups: ids[2:], home: cmp.Or(u.HomeDir, "/"),
		foreign: int(ids[0]) != os.Geteuid(),
	}, nil
}

// Group is the group of the hook's user, by which it can be let in where others
// are not. It is false for the agent's own user, who owns all there is.
func (l Limits) Group() (gid int, foreign bool, err error) {
	a, err := l.account()
	if err != nil || a == nil || !a.foreign {
		return 0, false, err
	}
	return int(a.gid), true, nil
}

// changeUser are the capabilities that it takes: to become the user, to end
// what the user runs, and to let the user's group in.
var changeUser = []int{unix.CAP_SETUID, unix.CAP_SETGID, unix.CAP_KILL, unix.CAP_CHOWN}

func mayChangeUser() bool {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData
	if err := unix.Capget(&h, &have[0]); err != nil {
		return os.Geteuid() == 0
	}
	lacks := func(c int) bool { return have[c/32].Effective&(1<<(c%32)) == 0 }
	return !slices.ContainsFunc(changeUser, lacks)
}

// env is what a login would set.
func (a *account) env() []string {
	if a == nil {
		return []string{"HOME=/"}
	}
	return []string{"HOME=" + a.home, "USER=" + a.name, "LOGNAME=" + a.name}
}

// credential is nil for the agent's own user.
func (a *account) credential() *syscall.Credential {
	if a == nil || !a.foreign {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: a.groups}
}

// reach reports which folder on the way to path, or path itself, the user may
// not enter or run. The kernel is asked, since modes are not all that decides.
func (a *account) reach(path string) error {
	if a == nil || !a.foreign {
		return nil
	}
	return inThread(func() error {
		if err := a.become(); err != nil {
			return fmt.Errorf("become user %s: %w", a.name, err)
		}
		return a.enter(path)
	})
}

func (a *account) enter(path string) error {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != filepath.Separator {
			continue
		}
		err := unix.Access(path[:i], unix.X_OK)
		if !errors.Is(err, unix.EACCES) {
			continue // what is not there is for others to find
		}
		mode := "not known"
		if info, err := os.Lstat(path[:i]); err == nil {
			mode = info.Mode().String()
		}
		return fmt.Errorf("%s may not enter or run %s (mode %s)", a.name, path[:i], mode)
	}
	return nil
}

// become makes the calling thread, and no other, the user's: the raw calls leave
// the rest of the process alone. There is no way back.
func (a *account) become() error {
	_, _, err := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(len(a.groups)), uintptr(unsafe.Pointer(unsafe.SliceData(a.groups))), 0)
	if err == 0 {
		_, _, err = unix.RawSyscall(unix.SYS_SETRESGID, uintptr(a.gid), uintptr(a.gid), uintptr(a.gid))
	}
	if err == 0 {
		_, _, err = unix.RawSyscall(unix.SYS_SETRESUID, uintptr(a.uid), uintptr(a.uid), uintptr(a.uid))
	}
	if err != 0 {
		return err
	}
	return nil
}
