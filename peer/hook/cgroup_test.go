package hook

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"crow/internal/control"
)

// openGroup is a control group in which this test's hooks can be limited.
func openGroup(t *testing.T) (*Cgroup, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.WarnLevel)
	g, err := OpenCgroup(zap.New(core), Limits{Memory: minMemory}, Limits{Processes: 1})
	if err != nil {
		t.Skipf("no control groups here: %v", err)
	}
	return g, logs
}

func cages(t *testing.T, g *Cgroup) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(g.dir, cagePrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestCages(t *testing.T) {
	g, logs := openGroup(t)
	for _, test := range []struct {
		what, body, err, tail string
		limits                Limits
	}{
		{"within", "echo fine", "", "fine\n", Limits{Memory: 64 << 20, Processes: 10}},
		{"too much memory", `dd if=/dev/zero of=/dev/null bs=200M count=1; sleep 10`, "was ended by signal 9 (SIGKILL): memory limit of 32 MiB exceeded", "",
			Limits{Memory: 32 << 20}},
		{"too much memory in a child", `(dd if=/dev/zero of=/dev/null bs=200M count=1); sleep 10`, "memory limit of 32 MiB exceeded", "",
			Limits{Memory: 32 << 20, Processes: 10}},
		{"a failure of its own", "exit 7", "exited with status 7", "", Limits{Memory: 32 << 20, Processes: 10}},
		{"too many processes", "(sleep 0.1; :) | (sleep 0.1; :) | (sleep 0.1; :); exit 3", "limit of 2 processes reached", "*", Limits{Processes: 2}},
	} {
		t.Run(test.what, func(t *testing.T) {
			c := script(t, test.body)
			c.Cgroup, c.Limits = g, test.limits
			result := run(t, c, test.err)
			if test.tail != "*" && !strings.Contains(result.Tail, test.tail) {
				t.Errorf("tail %q", result.Tail)
			}
			if left := cages(t, g); len(left) > 0 {
				t.Errorf("left: %q", left)
			}
		})
	}
	if logs.Len() > 0 {
		t.Errorf("logged: %v", logs.All())
	}
}

func TestAllLimitsTogether(t *testing.T) {
	g, _ := openGroup(t)
	c := script(t, `id -u; cut -d' ' -f19 /proc/self/stat; sed s/crow-hook-.*/cage/ /proc/self/cgroup | grep -c cage$`)
	open(t, c.Dir)
	u := someUser(t)
	c.Cgroup, c.Limits = g, Limits{User: u.Username, Nice: 5, Memory: 64 << 20, Processes: 10}
	if result := run(t, c, ""); result.Tail != u.Uid+"\n5\n1\n" {
		t.Errorf("tail %q", result.Tail)
	}
}

// TestCageOfWhatIsLeftBehind holds what the hook has started, and goes with it.
func TestCageOfWhatIsLeftBehind(t *testing.T) {
	g, _ := openGroup(t)
	c := script(t, `sleep 300 >/dev/null 2>&1 & echo $! >child`)
	c.Cgroup, c.Limits.Processes = g, 10
	run(t, c, "")
	if left := cages(t, g); len(left) != 1 {
		t.Fatalf("left: %q", left)
	}
	run(t, Command{Argv: []string{"/bin/true"}, Dir: "/", Cgroup: g, Limits: c.Limits}, "")
	if left := cages(t, g); len(left) != 1 {
		t.Errorf("left: %q", left)
	}
	kill(t, pidIn(t, c, "child"))
	g.sweep()
	if left := cages(t, g); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestLostLimitIsLogged(t *testing.T) {
	g, logs := openGroup(t)
	c := script(t, `cd /sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup) && echo max >pids.max`)
	c.Cgroup, c.Limits.Processes = g, 10
	run(t, c, "")
	if all := logs.FilterMessageSnippet("did not hold").All(); len(all) != 1 || !strings.Contains(fmt.Sprint(all[0].ContextMap()), `pids.max`) {
		t.Errorf("logged: %v", logs.All())
	}
}

func TestNoCgroupIsNeeded(t *testing.T) {
	if g, err := OpenCgroup(zap.NewNop(), Limits{User: "deploy", Nice: 10}, Limits{}); g != nil || err != nil {
		t.Errorf("%v, %v", g, err)
	}
	c := script(t, "exit 0")
	c.Limits = Limits{Memory: minMemory, Processes: 1} // and nothing to hold them
	run(t, c, "")
}

// TestCageThatCannotBeBuilt does not run the hook without its limits: they held
// when the agent began.
func TestCageThatCannotBeBuilt(t *testing.T) {
	c := script(t, "touch ran")
	c.Limits = Limits{Memory: minMemory}
	for _, g := range []*Cgroup{
		{dir: filepath.Join(t.TempDir(), "missing"), inUse: map[string]bool{}, log: zap.NewNop()},
		{dir: "/proc/self", inUse: map[string]bool{}, log: zap.NewNop()},
	} {
		c.Cgroup = g
		if result := run(t, c, "hold limits: mkdir "+g.dir); result != (control.HookResult{Exit: -1}) || len(g.inUse) > 0 {
			t.Errorf("result %+v, in use %v", result, g.inUse)
		}
	}
	if _, err := os.Stat(filepath.Join(c.Dir, "ran")); !os.IsNotExist(err) {
		t.Error("the hook ran")
	}
}

func TestFindCgroup(t *testing.T) {
	const mount = "35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
	for _, test := range []struct{ groups, mounts, want string }{ // the group and the top
		{"0::/system.slice/crow-peer.service\n", "24 1 8:1 / / rw - ext4 /dev/sda rw\n" + mount, "/sys/fs/cgroup/system.slice/crow-peer.service /sys/fs/cgroup"},
		{"0::/\n", mount, "/sys/fs/cgroup /sys/fs/cgroup"},
		{"8:pids:/x\n1:name=systemd:/x\n0::/x/y\n", "40 24 0:33 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n" + strings.Replace(mount, "/sys/fs/cgroup", "/sys/fs/cgroup/unified", 1), "/sys/fs/cgroup/unified/x/y /sys/fs/cgroup/unified"},
		{"0::/docker/1234/x\n", strings.Replace(mount, " / ", " /docker/1234 ", 1), "/sys/fs/cgroup/x /sys/fs/cgroup"},
		{"0::/elsewhere\n", strings.Replace(mount, " / ", " /docker/1234 ", 1), "error: control group /elsewhere is not mounted"},
		{"0::/../../other\n", mount, "error: control group /../../other is not mounted"},
		{"0::/x\n", "", "error: control group /x is not mounted"},
		{"0::/x\n", "- cgroup2 \n35 - cgroup2 x\n", "error: control group /x is not mounted"},
		{"8:pids:/x\n", mount, "error: this machine has no control groups of version 2"},
		{"", mount, "error: this machine has no control groups of version 2"},
	} {
		dir, top, err := findCgroup(test.groups, test.mounts)
		got := dir + " " + top
		if err != nil {
			got = "error: " + err.Error()
		}
		if got != test.want {
			t.Errorf("%q in %q: %q, want %q", test.groups, test.mounts, got, test.want)
		}
	}
}

func FuzzFindCgroup(f *testing.F) {
	f.Add("0::/a/b\n", "35 24 0:30 /a /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
	f.Fuzz(func(t *testing.T, groups, mounts string) {
		if dir, top, err := findCgroup(groups, mounts); err == nil && !strings.HasPrefix(dir, top) {
			t.Error("found nothing")
		}
	})
}

// TestSweep has folders for groups: both can be removed when they are empty.
func TestSweep(t *testing.T) {
	g := &Cgroup{dir: t.TempDir(), inUse: map[string]bool{}}
	own, used, another, odd := g.cageName(), g.cageName(), "1-x", "x"
	g.inUse[used] = true
	gone := exec.Command("/bin/true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	old := fmt.Sprintf("%d-x", gone.Process.Pid)
	for _, name := range []*string{&another, &old, &odd} {
		*name = filepath.Join(g.dir, cagePrefix+*name)
	}
	for _, name := range []string{own, used, another, odd, old, filepath.Join(g.dir, "other")} {
		if err := os.Mkdir(name, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	g.sweep()
	want := []string{used, another}
	slices.Sort(want)
	if left := cages(t, g); !slices.Equal(left, want) {
		t.Errorf("left %q, want %q", left, want)
	}
	if _, err := os.Stat(filepath.Join(g.dir, "other")); err != nil {
		t.Error(err)
	}
}

func TestEvents(t *testing.T) {
	got := events("low 0\nhigh 1\noom_kill 18446744073709551615\nodd\nbad x\n\n")
	if len(got) != 3 || got["high"] != 1 || got["oom_kill"] != 1<<64-1 {
		t.Errorf("%v", got)
	}
}

// TestExplain holds which event becomes which reason, from files as the kernel
// writes them.
func TestExplain(t *testing.T) {
	cause := fmt.Errorf("was ended")
	for _, test := range []struct{ memory, pids, want string }{
		{"oom 0\noom_kill 0\n", "max 0\n", "was ended"},
		{"oom 3\noom_kill 1\n", "max 0\n", "was ended: memory limit of 4 MiB exceeded"},
		{"oom 3\noom_kill 0\n", "", "was ended"},
		{"oom 0\noom_kill 1\n", "", "was ended: this host ran out of memory"},
		{"", "max 2\n", "was ended: limit of 5 processes reached"},
	} {
		c := &cage{dir: t.TempDir(), limits: Limits{Memory: minMemory, Processes: 5}}
		for name, text := range map[string]string{"memory.events": test.memory, "pids.events": test.pids} {
			if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := c.explain(cause); got.Error() != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
		if got := c.explain(nil); got != nil {
			t.Errorf("success became %v", got)
		}
	}
	if got := (*cage)(nil).explain(cause); got != cause {
		t.Errorf("without a cage %v", got)
	}
}
