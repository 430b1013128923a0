package hook

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"golang.org/x/sys/unix"

	"crow/internal/release"
)

func TestValidateNamesTheKey(t *testing.T) {
	for _, c := range []struct {
		limits Limits
		want   string // the error's beginning; empty: valid
	}{
		{Limits{}, ""},
		{Limits{User: "deploy", Nice: 19, Memory: 2 << 30, Processes: 256}, ""},
		{Limits{User: "1000", Nice: -20, Memory: minMemory, Processes: 1}, ""},
		{Limits{User: "deploy:deploy"}, "user: "},
		{Limits{User: "../etc"}, "user: "},
		{Limits{User: "a b"}, "user: "},
		{Limits{User: "a\x00"}, "user: "},
		{Limits{User: strings.Repeat("u", 257)}, "user: "},
		{Limits{Nice: 20}, "nice: "},
		{Limits{Nice: -21}, "nice: "},
		{Limits{Memory: -1}, "memory: "},
		{Limits{Memory: 2048}, "memory: invalid size 2 KiB"},
		{Limits{Processes: -1}, "processes: "},
		{Limits{Processes: maxProcesses + 1}, "processes: "},
	} {
		err := c.limits.Validate()
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%+v: error is %v, want one that begins with %q", c.limits, err, c.want)
		}
	}
}

func TestLimitsInAConfig(t *testing.T) {
	for text, want := range map[string]Limits{
		"{user: deploy, nice: -5, memory: 2GiB, processes: 256}": {"deploy", -5, 2 << 30, 256},
		"{user: 1000}":     {User: "1000"},
		"{}":               {},
		"{nice: 2.9}":      {Nice: 99},
		"{nice: ten}":      {Nice: 99},
		"{processes: 1e3}": {Nice: 99},
	} {
		var l Limits
		err := yaml.Unmarshal([]byte(text), &l)
		if bad := want.Nice == 99; bad != (err != nil) || !bad && l != want {
			t.Errorf("%s: %+v, %v", text, l, err)
		}
	}
}

// someUser is a user other than root, with the rights to run as one.
func someUser(t testing.TB) *user.User {
	t.Helper()
	if !mayChangeUser() {
		t.Skip("needs root")
	}
	for _, name := range []string{"nobody", "daemon"} {
		if u, err := user.Lookup(name); err == nil {
			return u
		}
	}
	t.Skip("needs a user nobody or daemon")
	return nil
}

// open makes a folder and those on the way to it ones that any user may enter.
func open(t testing.TB, dir string) {
	t.Helper()
	for ; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAnotherUser looks at all that a hook is given.
func TestAnotherUser(t *testing.T) {
	u := someUser(t)
	for _, name := range []string{u.Username, u.Uid} {
		c := script(t, `id -u; id -g; id -G; echo "$HOME $USER $LOGNAME"; pwd >/dev/stdout; cat /dev/stdin >/dev/stderr; touch mine`)
		open(t, c.Dir)
		c.Stdin, c.Limits.User = []byte("input\n"), name
		groups, err := u.GroupIds()
		if err != nil {
			t.Fatal(err)
		}
		result := run(t, c, "")
		want := fmt.Sprintf("%s\n%s\n%s\n%s %[4]s %[4]s\n%s\ninput\n", u.Uid, u.Gid, strings.Join(groups, " "), u.Username, c.Dir)
		want = strings.Replace(want, u.Username, u.HomeDir, 1)
		if result.Tail != want {
			t.Errorf("%s: %q, want %q", name, result.Tail, want)
		}
		var st unix.Stat_t
		if err := unix.Stat(filepath.Join(c.Dir, "mine"), &st); err != nil || strconv.Itoa(int(st.Uid)) != u.Uid {
			t.Errorf("file of user %d, %v", st.Uid, err)
		}
	}
	if os.Geteuid() != 0 {
		t.Error("the agent is not root any more")
	}
}

// TestSupplementaryGroups is of a user with more groups than this host's users
// have.
func TestSupplementaryGroups(t *testing.T) {
	c := script(t, "id -u; id -G")
	open(t, c.Dir)
	c.Limits.User = someUser(t).Username
	c, err := c.prepare()
	if err != nil {
		t.Fatal(err)
	}
	c.who = &account{name: "x", uid: 4240, gid: 4241, groups: []uint32{4242, 4243}, foreign: true}
	result, err := c.run(t.Context(), nil)
	if err != nil || result.Tail != "4240\n4241 4242 4243\n" {
		t.Errorf("%q, %v", result.Tail, err)
	}
	var got []int
	err = inThread(func() (err error) {
		err = c.who.become()
		got, _ = unix.Getgroups()
		return err
	})
	if err != nil || !slices.Equal(got, []int{4242, 4243}) {
		t.Errorf("groups %v, %v", got, err)
	}
}

// TestAnotherUserIsEnded holds that an agent can end what is not its own.
func TestAnotherUserIsEnded(t *testing.T) {
	c := script(t, `trap '' TERM; sleep 300 >/dev/null & echo $! >child; exit 1`)
	open(t, c.Dir)
	c.Limits.User = someUser(t).Username
	run(t, c, "status 1")
	wantDead(t, pidIn(t, c, "child"))
}

func TestFoldersThatAreClosedToTheUser(t *testing.T) {
	u := someUser(t)
	closed := func(name string, mode os.FileMode) Command {
		c := script(t, "exit 0")
		open(t, c.Dir)
		if err := os.Chmod(filepath.Join(c.Dir, name), mode); err != nil {
			t.Fatal(err)
		}
		c.Limits.User = u.Username
		return c
	}
	c := closed(".", 0o700)
	run(t, c, fmt.Sprintf("%s may not enter or run %s (mode drwx------)", u.Username, c.Dir))
	if err := c.Limits.Check(filepath.Dir(c.Dir), c.Dir); !errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), "user: ") || !strings.Contains(err.Error(), c.Dir) {
		t.Errorf("Check: %v", err)
	}
	c = closed("hook", 0o700)
	run(t, c, fmt.Sprintf("%s may not enter or run %s (mode -rwx------)", u.Username, c.Argv[0]))
	if err := c.Limits.Check(c.Dir, filepath.Join(c.Dir, "not/there")); err != nil {
		t.Errorf("Check: %v", err)
	}
}

func TestUsersThatCannotBe(t *testing.T) {
	for _, name := range []string{"no-such-user", "4000000000"} {
		l := Limits{User: name}
		if err := l.Check(); !errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), "user: ") || !strings.Contains(err.Error(), name) {
			t.Errorf("Check: %v", err)
		}
		c := script(t, "exit 0")
		c.Limits = l
		run(t, c, name)
	}
}

// TestWithoutRoot asks in a thread that has given its rights away.
func TestWithoutRoot(t *testing.T) {
	u := someUser(t)
	err := inThread(func() error {
		h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		if err := unix.Capset(&h, &none[0]); err != nil {
			t.Error(err)
		}
		return Limits{User: u.Username}.Check()
	})
	if !errors.Is(err, release.ErrInvalid) || !strings.Contains(err.Error(), "needs root") {
		t.Errorf("error %v", err)
	}
	own, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	c := script(t, "echo $HOME")
	c.Limits.User = own.Username
	if result := run(t, c, ""); result.Tail != own.HomeDir+"\n" {
		t.Errorf("HOME is %q", result.Tail)
	}
	if _, foreign, err := c.Limits.Group(); foreign || err != nil {
		t.Errorf("own user: %v, %v", foreign, err)
	}
	if gid, foreign, err := (Limits{User: u.Username}).Group(); strconv.Itoa(gid) != u.Gid || !foreign || err != nil {
		t.Errorf("group %d, %v, %v", gid, foreign, err)
	}
}

func TestNice(t *testing.T) {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := script(t, `cut -d" " -f19 /proc/self/stat; cut -d" " -f19 /proc/self/stat`) // proc(5)
	c.Limits.Nice = 7
	if err := c.Limits.Check(); err != nil {
		t.Error(err)
	}
	for range 3 {
		if result := run(t, c, ""); result.Tail != "7\n7\n" {
			t.Errorf("nice values %q", result.Tail)
		}
	}
	c.Limits.Nice = 0
	if result := run(t, c, ""); strings.HasPrefix(result.Tail, "7") {
		t.Errorf("nice values %q without a limit", result.Tail)
	}
	if after, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || after != before {
		t.Errorf("the agent's own priority was %d and is %d, %v", before, after, err)
	}
}
