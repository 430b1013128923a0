package hook

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// ownCgroup is the folder of the agent's control group of version 2, and that at
// the top of all that it can see.
func ownCgroup() (own, top string, err error) {
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	return findCgroup(string(groups), string(mounts))
}

// findCgroup puts together which group it is (/proc/self/cgroup) and where it
// can be seen (/proc/self/mountinfo, proc(5)).
func findCgroup(groups, mounts string) (dir, top string, err error) {
	var own string
	for line := range strings.Lines(groups) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own = path
		}
	}
	if own == "" {
		return "", "", errors.New("this machine has no control groups of version 2")
	}
	for line := range strings.Lines(mounts) {
		before, behind, _ := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if len(fields) < 5 || !strings.HasPrefix(behind, "cgroup2 ") || !filepath.IsAbs(fields[4]) {
			continue
		}
		rel, err := filepath.Rel(fields[3], own) // the part of the hierarchy that is mounted
		outside := strings.HasPrefix(own, "/..") // of what this namespace may see
		if err == nil && filepath.IsLocal(rel) && !outside {
			return filepath.Join(fields[4], rel), filepath.Clean(fields[4]), nil
		}
	}
	return "", "", fmt.Errorf("control group %s is not mounted", own)
}

// isDelegated reports whether systemd has left a group to who runs in it
// (Delegate= and, for the agent to be in a group below, DelegateSubgroup=).
func isDelegated(dir string) bool {
	value := make([]byte, 1)
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		if n, err := unix.Getxattr(dir, name, value); err == nil && n == 1 && value[0] == '1' {
			return true
		}
	}
	return false
}
