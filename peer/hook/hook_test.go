package hook

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"crow/internal/control"
	"crow/internal/release"
)

var facts = Facts{
	App: "web", Version: "1.42.0", ReleaseDir: "/data/apps/web/1.42.0", Artifact: "/data/cache/0123", PreviousVersion: "1.41.0",
	PreviousDir: "/data/apps/web/1.41.0", Deploy: "d-7f3a", Host: `web-1 "quoted" ünïcode`,
}

func TestWhatAHookSees(t *testing.T) {
	t.Setenv("SECRET_OF_THE_AGENT", "x")
	c := script(t, `env -0 >env; cat >stdin; pwd -P >pwd; printf '%s\n' "$@" >args; echo out; echo err >&2`)
	c.Argv = append(c.Argv, "one", "two words", "$HOME;*")
	c.Env, c.Stdin = facts.Env(), facts.JSON()
	result := run(t, c, "")
	if result.Exit != 0 || result.Tail != "out\nerr\n" || result.Seconds <= 0 || result.Seconds > 30 {
		t.Errorf("result %+v", result)
	}
	env := strings.Split(strings.TrimSuffix(read(t, c.Dir, "env"), "\x00"), "\x00")
	env = slices.DeleteFunc(env, func(s string) bool { // the shell's own
		return strings.HasPrefix(s, "PWD=") || strings.HasPrefix(s, "SHLVL=") || strings.HasPrefix(s, "_=") || strings.HasPrefix(s, "OLDPWD=")
	})
	want := slices.Concat(baseEnv, []string{"HOME=/"}, facts.Env())
	slices.Sort(env)
	slices.Sort(want)
	if !slices.Equal(env, want) {
		t.Errorf("environment:\n%q\nwant:\n%q", env, want)
	}
	var seen Facts
	if err := json.Unmarshal([]byte(read(t, c.Dir, "stdin")), &seen); err != nil || seen != facts {
		t.Errorf("standard input %+v, %v", seen, err)
	}
	dir, err := filepath.EvalSymlinks(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.TrimSpace(read(t, c.Dir, "pwd")); got != dir {
		t.Errorf("working directory %s, want %s", got, dir)
	}
	if got := read(t, c.Dir, "args"); got != "one\ntwo words\n$HOME;*\n" {
		t.Errorf("arguments %q", got)
	}
}

// TestDescriptors opens one as an agent may have inherited it.
func TestDescriptors(t *testing.T) {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	result := run(t, Command{Argv: []string{"/bin/ls", "/proc/self/fd"}, Dir: t.TempDir()}, "")
	if result.Tail != "0\n1\n2\n3\n" { // 3 is ls's own
		t.Errorf("descriptors %q", result.Tail)
	}
}

func TestFacts(t *testing.T) {
	want := `{"CROW_APP":"a","CROW_VERSION":"1","CROW_RELEASE_DIR":"/r","CROW_ARTIFACT":"/x","CROW_PREVIOUS_VERSION":"","CROW_PREVIOUS_DIR":"","CROW_DEPLOY":"d-1","CROW_HOST":"h"}` + "\n"
	f := Facts{App: "a", Version: "1", ReleaseDir: "/r", Artifact: "/x", Deploy: "d-1", Host: "h"}
	if got := string(f.JSON()); got != want {
		t.Errorf("JSON %s, want %s", got, want)
	}
	if got := f.Env(); !slices.Contains(got, "CROW_PREVIOUS_DIR=") || len(got) != 8 {
		t.Errorf("environment %q", got)
	}
}

func TestFactsOfOneLine(t *testing.T) {
	if err := facts.Validate(); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(*Facts){
		"CROW_VERSION":     func(f *Facts) { f.Version = "1\n2" },
		"CROW_RELEASE_DIR": func(f *Facts) { f.ReleaseDir = "/data\x00" },
		"CROW_DEPLOY":      func(f *Facts) { f.Deploy = "d\x1b[2J" },
		"CROW_HOST":        func(f *Facts) { f.Host = "\xff" },
		"CROW_APP":         func(f *Facts) { f.App = "web\u0085" },
	} {
		f := facts
		spoil(&f)
		if err := f.Validate(); !errors.Is(err, release.ErrInvalid) || !strings.Contains(err.Error(), what) || strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Errorf("%s: error %q", what, err)
		}
	}
}

func TestHowHooksEnd(t *testing.T) {
	for _, c := range []struct {
		body, err, tail string
		exit            int
	}{
		{"exit 0", "", "", 0},
		{"echo bad; exit 42", "exited with status 42", "bad\n", 42},
		{"exec 0<&-; exit 0", "", "", 0},
		{"exec 1>&- 2>&-; echo lost; exit 3", "exited with status 3", "", 3},
		{"echo going; kill -9 $$", "was ended by signal 9 (SIGKILL)", "going\n", -1},
		{"kill -SEGV $$", "was ended by signal 11 (SIGSEGV)", "", -1},
		{`printf '\033[31mred\033[0m\n'`, "", "red\n", 0},
		{"cat /dev/stdin | wc -l", "", "1\n", 0},
		{"echo to the file >/dev/stdout; echo too >/proc/self/fd/2", "", "to the file\ntoo\n", 0},
	} {
		t.Run(c.body, func(t *testing.T) {
			command := script(t, c.body)
			command.Stdin = facts.JSON()
			result := run(t, command, c.err)
			if result.Exit != c.exit || result.Tail != c.tail {
				t.Errorf("result %+v, want exit %d and tail %q", result, c.exit, c.tail)
			}
		})
	}
}

// TestUnreadInput gives a hook more than a pipe holds, which it passes over.
func TestUnreadInput(t *testing.T) {
	c := script(t, "exit 0")
	c.Stdin = make([]byte, 4<<20)
	run(t, c, "")
	c = script(t, "sleep 300 <&0 & echo $! >child; exit 0")
	c.Stdin = make([]byte, 4<<20)
	begun := time.Now()
	run(t, c, "")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
	kill(t, pidIn(t, c, "child"))
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill %d: %v", pid, err)
	}
	wantDead(t, pid)
}

func TestHooksThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for _, c := range []struct {
		argv []string
		dir  string
		err  string
	}{
		{nil, dir, "want the absolute path"},
		{[]string{"true"}, dir, "want the absolute path"},
		{[]string{"./hook"}, dir, "want the absolute path"},
		{[]string{"/no/such/hook"}, dir, "start /no/such/hook: no such file"},
		{[]string{dir}, dir, "it is a directory"},
		{[]string{write("plain", "#!/bin/sh\n", 0o644)}, dir, "it is not executable (-rw-r--r--)"},
		{[]string{write("lost", "#!/no/such/shell\n", 0o755)}, dir, "interpreter in its first line is missing"},
		{[]string{write("text", "echo hello\n", 0o755)}, dir, "needs a first line such as #!/bin/sh"},
		{[]string{"/bin/true"}, filepath.Join(dir, "gone"), "working directory: stat"},
		{[]string{"/bin/true"}, write("file", "", 0o644), "is not a directory"},
	} {
		result := run(t, Command{Argv: c.argv, Dir: c.dir, Record: filepath.Join(dir, "record")}, c.err)
		if result != (control.HookResult{Exit: -1}) {
			t.Errorf("%s: result %+v", c.err, result)
		}
		if _, err := os.Stat(filepath.Join(dir, "record")); !os.IsNotExist(err) {
			t.Errorf("%s: record: %v", c.err, err)
		}
	}
}

// TestFreshlyWritten runs a program that is still open for writing.
func TestFreshlyWritten(t *testing.T) {
	c := script(t, "echo ran")
	f, err := os.OpenFile(c.Argv[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	time.AfterFunc(3*busyPause/2, func() { closed <- f.Close() })
	if result := run(t, c, ""); result.Tail != "ran\n" {
		t.Errorf("result %+v", result)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	f, err = os.OpenFile(c.Argv[0], os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	run(t, c, "text file busy")
}

func TestTimeout(t *testing.T) {
	c := script(t, `sleep 300 & echo $! >child; echo waiting; wait`)
	c.Timeout = 300 * time.Millisecond
	result := run(t, c, "timed out after 300ms")
	if result.Exit != -1 || result.Tail != "waiting\n" || result.Seconds > 3 {
		t.Errorf("result %+v", result)
	}
	wantDead(t, pidIn(t, c, "child"))
}

// TestStubborn takes the whole grace: hook and child pass over SIGTERM.
func TestStubborn(t *testing.T) {
	c := script(t, `trap '' TERM; sleep 300 & echo $! >child; echo $$ >self; while :; do sleep 1; done`)
	c.Timeout = 300 * time.Millisecond
	begun := time.Now()
	run(t, c, "timed out after 300ms")
	if took := time.Since(begun); took < termGrace || took > termGrace+5*time.Second {
		t.Errorf("took %s", took)
	}
	wantDead(t, pidIn(t, c, "child"))
	wantDead(t, pidIn(t, c, "self"))
}

// TestLastWords lets a hook clean up when it is told to end.
func TestLastWords(t *testing.T) {
	c := script(t, `trap 'echo cleaned up; exit 7' TERM; echo $$ >self; while :; do sleep 0.05; done`)
	c.Timeout = 500 * time.Millisecond
	result := run(t, c, "timed out")
	if result.Exit != 7 || !strings.HasSuffix(result.Tail, "cleaned up\n") {
		t.Errorf("result %+v", result)
	}
}

func TestCancel(t *testing.T) {
	stops := errors.New("the agent stops")
	ctx, cancel := context.WithCancelCause(t.Context())
	c := script(t, `sleep 300 & echo $! >child; wait`)
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, c)
		done <- err
	}()
	pid := pidIn(t, c, "child")
	cancel(stops)
	if err := <-done; !errors.Is(err, stops) {
		t.Errorf("error %v", err)
	}
	wantDead(t, pid)
	if _, err := Run(ctx, c); !errors.Is(err, stops) || !strings.Contains(err.Error(), "not started") {
		t.Errorf("error %v", err)
	}
}

func TestFailureEndsTheGroup(t *testing.T) {
	c := script(t, `sleep 300 >/dev/null 2>&1 & echo $! >child; exit 1`)
	begun := time.Now()
	run(t, c, "status 1")
	if took := time.Since(begun); took > termGrace {
		t.Errorf("took %s", took)
	}
	wantDead(t, pidIn(t, c, "child"))
}

// TestLeftBehind starts a server that holds the pipe. It lives on, and goes on
// to live when it prints more than the pipe holds.
func TestLeftBehind(t *testing.T) {
	c := script(t, `(echo started; while [ ! -e go ]; do sleep 0.02; done
		head -c 3000000 /dev/zero; echo $? >printed; exec sleep 300) & echo $! >child; exit 0`)
	begun := time.Now()
	result := run(t, c, "")
	took := time.Since(begun)
	if took < outputGrace || took > outputGrace+5*time.Second {
		t.Errorf("took %s", took)
	}
	if result.Exit != 0 || result.Tail != "started\n" || result.Seconds > 1.9 {
		t.Errorf("result %+v", result)
	}
	pid := pidIn(t, c, "child")
	if !alive(pid) {
		t.Fatal("the child was ended")
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if status := pidIn(t, c, "printed"); status >= 128 {
		t.Errorf("printing ended with status %d", status)
	}
	if !alive(pid) {
		t.Error("printing ended the child")
	}
	kill(t, pid)
}

// TestLeftBehindQuietly does not hold anything: nobody waits for it.
func TestLeftBehindQuietly(t *testing.T) {
	c := script(t, `sleep 300 >/dev/null 2>&1 </dev/null & echo $! >child; exit 0`)
	begun := time.Now()
	run(t, c, "")
	if took := time.Since(begun); took > outputGrace {
		t.Errorf("took %s", took)
	}
	kill(t, pidIn(t, c, "child"))
}

// TestChatterers print without end: while the hook runs, and after it.
func TestChatterers(t *testing.T) {
	c := script(t, `yes & echo $! >child; exit 0`)
	result := run(t, c, "")
	if len(result.Tail) != control.MaxTailLen {
		t.Errorf("tail of %d bytes", len(result.Tail))
	}
	pid := pidIn(t, c, "child") // yes ends by itself when nobody reads on
	wantDead(t, pid)
	c = script(t, `exec yes`)
	c.Timeout = 300 * time.Millisecond
	run(t, c, "timed out")
}

func TestMuchOutput(t *testing.T) {
	const n = 256 << 20
	c := script(t, `head -c 268435456 /dev/zero | tr '\0' 'x'; echo; echo the end`)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	result := run(t, c, "")
	runtime.ReadMemStats(&after)
	if len(result.Tail) != control.MaxTailLen || !strings.HasSuffix(result.Tail, "xxx\nthe end\n") {
		t.Errorf("tail of %d bytes: %q", len(result.Tail), result.Tail[max(0, len(result.Tail)-40):])
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 4<<20 {
		t.Errorf("%d bytes were allocated for %d of output", got, n)
	}
}

// TestNothingIsLeft runs many hooks of all kinds.
func TestNothingIsLeft(t *testing.T) {
	count := func() int {
		names, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(names)
	}
	good, bad, lost := script(t, "cat; exit 0"), script(t, "exit 1"), Command{Argv: []string{"/no/such/hook"}, Dir: "/"}
	for _, c := range []*Command{&good, &bad, &lost} {
		c.Record = filepath.Join(t.TempDir(), "record")
	}
	good.Stdin = facts.JSON()
	run(t, good, "")
	fds, goroutines := count(), runtime.NumGoroutine()
	for range 70 {
		run(t, good, "")
		run(t, bad, "status 1")
		run(t, lost, "no such file")
	}
	if now := count(); now > fds {
		t.Errorf("%d descriptors, were %d", now, fds)
	}
	eventually(t, "the end of goroutines", func() bool { return runtime.NumGoroutine() <= goroutines })
	if kids := strings.TrimSpace(children(t)); kids != "" {
		t.Errorf("children left: %s", kids)
	}
}

// children lists the processes whose parent is this one.
func children(t *testing.T) string {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, name := range tasks {
		list, err := os.ReadFile(name)
		if err != nil && !os.IsNotExist(err) && !errors.Is(err, syscall.ESRCH) {
			t.Fatal(err)
		}
		b.Write(list)
	}
	return b.String()
}
