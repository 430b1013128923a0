package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crow/internal/release"
)

// makeTree writes a folder with what builds have: nested folders, an empty
// file and folder, modes, symlinks, a long name.
func makeTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for _, d := range []string{"bin", "share/doc/deep/er", "empty", "private"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir+"/bin/app", "#!/bin/sh\necho hello\n", 0o755)
	write(t, dir+"/share/doc/deep/er/read me.txt", strings.Repeat("words ", 50_000), 0o640)
	write(t, dir+"/share/zero", "", 0o600)
	write(t, dir+"/share/"+strings.Repeat("n", 200), "long", 0o644)
	for link, to := range map[string]string{"/bin/run": "app", "/share/tool": "../bin/app", "/bin/later": "not-there"} {
		if err := os.Symlink(to, dir+link); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir+"/private", 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// treeOf lists a folder: path, mode and content or link target of each entry.
func treeOf(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		fi, err := e.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			if content, err = os.Readlink(path); err != nil {
				return err
			}
			fmt.Fprintf(&b, "%s -> %s\n", strings.TrimPrefix(path, dir), content)
			return nil
		case fi.Mode().IsRegular():
			content = mustRead(t, path)
		}
		fmt.Fprintf(&b, "%s %v %q\n", strings.TrimPrefix(path, dir), fi.Mode(), content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The hook's script writes down its environment, its input and its folder.
const recordingHook = `env | sort > "$CROW_RELEASE_DIR/../$CROW_VERSION.env"
cat > "$CROW_RELEASE_DIR/../$CROW_VERSION.json"
pwd > "$CROW_RELEASE_DIR/../$CROW_VERSION.pwd"
echo "$CROW_APP $CROW_VERSION is live"
`

func TestDirectoryAndArchiveReachEveryHost(t *testing.T) {
	f := startFleet(t, 8, peerConfig{app: hook(t, "unpack: true", recordingHook)})
	tree := makeTree(t)
	archive := filepath.Join(t.TempDir(), "build.tar.gz")
	if out, err := exec.Command("tar", "czf", archive, "-C", tree, ".").CombinedOutput(); err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	want := treeOf(t, tree)
	for i, a := range []string{tree, archive} {
		version := fmt.Sprintf("1.%d", i)
		f.push(0, a, version)
		for _, p := range f.peers {
			if got := treeOf(t, p.release(version)); got != want {
				t.Fatalf("%s: tree differs:\n%s\nwant:\n%s", p.name, got, want)
			}
			if p.live() != version {
				t.Errorf("%s: current is %q, want %s", p.name, p.live(), version)
			}
		}
	}
	s := f.status("web")
	if s.Phase != release.DeploySucceeded || len(s.Hosts) != 8 || s.Finished == nil {
		t.Errorf("status: %+v", s)
	}
	for _, p := range f.peers {
		checkHookFacts(t, p, s.Deploy)
		if h := host(t, s, p.name); h.Hook == nil || h.Hook.Exit != 0 || h.Hook.Tail != "web 1.1 is live\n" {
			t.Errorf("%s: hook %+v", p.name, h.Hook)
		}
	}
}

// checkHookFacts checks what the hook of version 1.1, after 1.0, was told.
func checkHookFacts(t *testing.T, p *daemon, deploy string) {
	t.Helper()
	apps := filepath.Join(p.data, "apps", "web")
	want := map[string]string{
		"CROW_APP": "web", "CROW_VERSION": "1.1", "CROW_RELEASE_DIR": apps + "/1.1", "CROW_DEPLOY": deploy,
		"CROW_PREVIOUS_VERSION": "1.0", "CROW_PREVIOUS_DIR": apps + "/1.0", "CROW_HOST": p.name,
	}
	env := mustRead(t, apps+"/1.1.env")
	for k, v := range want {
		if !strings.Contains("\n"+env, "\n"+k+"="+v+"\n") {
			t.Errorf("%s: environment lacks %s=%s:\n%s", p.name, k, v, env)
		}
	}
	if !strings.Contains(env, "CROW_ARTIFACT="+p.data+"/cache/") {
		t.Errorf("%s: no CROW_ARTIFACT in the cache:\n%s", p.name, env)
	}
	if strings.Contains(env, "GOPATH") || strings.Contains(env, "CROW_BINARY") {
		t.Errorf("%s: the hook inherited the agent's environment:\n%s", p.name, env)
	}
	if got := strings.TrimSpace(mustRead(t, apps+"/1.1.pwd")); got != apps+"/1.1" {
		t.Errorf("%s: the hook ran in %s", p.name, got)
	}
	var facts map[string]string
	if err := json.Unmarshal([]byte(mustRead(t, apps+"/1.1.json")), &facts); err != nil {
		t.Fatalf("%s: stdin: %v", p.name, err)
	}
	for k, v := range facts {
		if w, ok := want[k]; ok && w != v {
			t.Errorf("%s: stdin says %s is %q, want %q", p.name, k, v, w)
		}
	}
	if len(facts) != 8 {
		t.Errorf("%s: stdin has %d facts, want 8: %v", p.name, len(facts), facts)
	}
}

func TestPlainFile(t *testing.T) {
	f := startFleet(t, 2, peerConfig{app: hook(t, "", `cmp "$CROW_ARTIFACT" "$(pwd)/artifact"`)})
	a := artifact(t, 3<<20)
	f.push(0, a, "1")
	for _, p := range f.peers {
		if mustRead(t, p.release("1")+"/artifact") != mustRead(t, a) {
			t.Errorf("%s: other bytes", p.name)
		}
	}
}

func TestFailingHooks(t *testing.T) {
	nap := fmt.Sprintf("sleep 1000.%d", os.Getpid()) // not another run's
	for name, c := range map[string]struct {
		script string
		exit   int
		words  []string
	}{
		"exit 42":            {"echo all is lost; exit 42", 42, []string{"host-2", "hook", "42", "all is lost"}},
		"hangs":              {"echo about to hang; " + nap, -1, []string{"host-2", "hook", "timed out", "about to hang"}},
		"prints 10 MB":       {"head -c 10000000 /dev/zero | tr '\\0' x; echo; echo the end; exit 1", 1, []string{"host-2", "hook", "the end"}},
		"leaves a child":     {nap + " & echo left one; exit 3", 3, []string{"host-2", "hook", "left one"}},
		"is not there":       {"", 0, []string{"host-2", "hook"}},
		"is ended by signal": {"echo shot; kill -9 $$", -1, []string{"host-2", "hook", "shot"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := startSeeder(t, "")
			f.addPeer(peerConfig{app: hook(t, "hook_timeout: 2s", "exit 0")})
			app := hook(t, "hook_timeout: 2s", c.script)
			if c.script == "" {
				app = `{hook: ["/no/such/hook"]}`
			}
			bad := f.addPeer(peerConfig{app: app})
			f.awaitHosts(2)
			begun := time.Now()
			r := f.push(3, artifact(t, 100_000), "1")
			if took := time.Since(begun); took > 30*time.Second {
				t.Errorf("the deploy took %s", took)
			}
			wantLine(t, r, 3, c.words...)
			s := f.status("web")
			if h := host(t, s, "host-1"); h.Phase != release.Active {
				t.Errorf("the good host: %+v", h)
			}
			h := host(t, s, "host-2")
			if s.Phase != release.DeployFailed || h.Phase != release.Failed || h.Reason == "" {
				t.Errorf("deploy %v, bad host: %+v", s.Phase, h)
			}
			if c.script != "" && (h.Hook == nil || h.Hook.Exit != c.exit || len(h.Hook.Tail) > 8<<10) {
				t.Errorf("hook: %+v, want exit %d", h.Hook, c.exit)
			}
			bad.stop()
			if out, err := exec.Command("pgrep", "-f", nap).Output(); err == nil && len(out) > 0 {
				t.Errorf("the hook's processes live on: %s", out)
			}
		})
	}
}

func TestHookThatLeavesADaemonSucceeds(t *testing.T) {
	f := startFleet(t, 1, peerConfig{app: hook(t, "", `sleep 20 >/dev/null 2>&1 & echo started`)})
	begun := time.Now()
	f.push(0, artifact(t, 1000), "1")
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestSameReleaseAgain(t *testing.T) {
	f := startFleet(t, 3, peerConfig{app: hook(t, "", `echo ran >> "$CROW_RELEASE_DIR/../ran"`)})
	a := artifact(t, 1<<20)
	f.push(0, a, "1.0.0")
	before := f.status("web")
	f.push(0, a, "1.0.0")
	after := f.status("web")
	if after.Deploy == before.Deploy || after.SeederBytesSent != 0 {
		t.Errorf("second deploy %s sent %d bytes", after.Deploy, after.SeederBytesSent)
	}
	for _, p := range f.peers {
		h := host(t, after, p.name)
		if h.Phase != release.Active || !h.Unchanged || h.Bytes.Received() != 0 {
			t.Errorf("%s: %+v, want it unchanged", p.name, h)
		}
		if ran := mustRead(t, filepath.Join(p.data, "apps/web/ran")); ran != "ran\n" {
			t.Errorf("%s: the hook ran again: %q", p.name, ran)
		}
	}
	r := f.push(7, artifact(t, 1<<20), "1.0.0")
	wantLine(t, r, 7, "web@1.0.0")
	if s := f.status("web"); s.Deploy != after.Deploy {
		t.Error("a refused push made a deploy")
	}
}

func TestHostStartedLaterCatchesUp(t *testing.T) {
	f := startFleet(t, 2, peerConfig{app: hook(t, "", `echo ran > "$CROW_RELEASE_DIR/../ran"`)})
	f.push(0, artifact(t, 2<<20), "1")
	late := f.addPeer(peerConfig{app: hook(t, "", `echo ran > "$CROW_RELEASE_DIR/../ran"`)})
	f.eventually(60*time.Second, "the late host is live", func() error {
		_, err := os.Stat(filepath.Join(late.data, "apps/web/ran"))
		return err
	})
	f.eventually(30*time.Second, "the late host is in the status", func() error {
		s := f.status("web")
		for _, h := range s.Hosts {
			if h.Name == late.name && h.Late && h.Phase == release.Active && s.Phase == release.DeploySucceeded {
				return nil
			}
		}
		return fmt.Errorf("%+v", s.Hosts)
	})
}

func TestNewVersionMovesEveryHostOn(t *testing.T) {
	f := startFleet(t, 3, peerConfig{app: hook(t, "keep: 2", "exit 0")})
	for _, v := range []string{"1", "2", "3", "4"} {
		f.push(0, artifact(t, 300_000), v)
	}
	for _, p := range f.peers {
		entries, err := filepath.Glob(filepath.Join(p.data, "apps/web/[0-9]*"))
		if err != nil || len(entries) != 2 || p.live() != "4" {
			t.Errorf("%s: keeps %v, live %s; want 3 and 4", p.name, entries, p.live())
		}
		cached, _ := filepath.Glob(filepath.Join(p.data, "cache/*"))
		if len(cached) > 2 {
			t.Errorf("%s: cache holds %v", p.name, cached)
		}
	}
}
