package peer

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"crow/internal/release"
	"crow/peer/admin"
	"crow/peer/hook"
)

// lodger is a user other than the agent's, with a data directory that is as an
// installation has it: below folders that anybody may enter.
func (r *rig) lodger() hook.Limits {
	r.t.Helper()
	l := hook.Limits{User: "nobody"}
	if _, foreign, err := l.Group(); err != nil || !foreign {
		r.t.Skipf("needs root, and a user nobody: %v", err)
	}
	for dir := r.cfg.DataDir; strings.HasPrefix(dir, os.TempDir()+"/"); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			r.t.Fatal(err)
		}
	}
	return l
}

// anyone makes an app's hook a script that every user may read.
func (r *rig) anyone(app App, script string) App {
	r.t.Helper()
	app.Hook = []string{"/bin/sh", "-c", script}
	return app
}

// TestHookOfAnotherUser holds that the hook can have all that it is promised,
// and nobody else more than before.
func TestHookOfAnotherUser(t *testing.T) {
	for _, unpack := range []bool{true, false} {
		t.Run(fmt.Sprint("unpack ", unpack), func(t *testing.T) {
			r := newRig(t)
			limits := r.lodger()
			u, err := user.Lookup(limits.User)
			if err != nil {
				t.Fatal(err)
			}
			r.cfg.Apps["web"] = r.anyone(App{Unpack: unpack, Limits: limits}, `set -e
				id -un; cat * >/dev/null; wc -c <"$CROW_ARTIFACT"; [ -z "$CROW_PREVIOUS_DIR" ] || ls "$CROW_PREVIOUS_DIR" >/dev/null; echo $HOME
				for f in ../../../cache ../../../state ../../../lent ../../../lent/*; do ! ls $f 2>/dev/null; done
				stat -c %a "$(dirname "$CROW_ARTIFACT")"; grep -q '"CROW_ARTIFACT":"'$CROW_ARTIFACT'"'`)
			r.start()
			for _, version := range []string{"1", "2"} {
				g := r.archive(map[string]string{"f": "content " + version})
				r.office.give(g.order("d-"+version, "web", version))
				got := r.office.await(t, "d-"+version, release.Active)
				mode := map[bool]string{true: "710", false: "755"}[unpack]
				if want := fmt.Sprintf("%s\n%d\n%s\n%s\n", u.Username, g.manifest.Size, u.HomeDir, mode); got.Hook == nil || got.Hook.Tail != want {
					t.Errorf("hook %+v, want %q", got.Hook, want)
				}
				eventually(t, "everything is taken back", func() bool { return !exists(r.path("lent/web")) })
			}
		})
	}
}

// TestReleaseThatWasPackedClosed is of a build in a folder of mktemp's.
func TestReleaseThatWasPackedClosed(t *testing.T) {
	r := newRig(t)
	r.cfg.Apps["web"] = r.anyone(App{Unpack: true, Limits: r.lodger()}, `cat f`)
	r.start()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := errors.Join(w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "./", Mode: 0o700}),
		w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644, Size: 7}))
	_, err2 := w.Write([]byte("content"))
	if err := errors.Join(err, err2, w.Close()); err != nil {
		t.Fatal(err)
	}
	g := r.office.stock(r.store.add(t, b.Bytes(), release.FormatTar))
	r.office.give(g.order("d-1", "web", "1"))
	if got := r.office.await(t, "d-1", release.Active); got.Hook == nil || got.Hook.Tail != "content" {
		t.Errorf("hook %+v", got.Hook)
	}
	before, err := os.Stat(r.path("apps/web/1"))
	if err != nil || before.Mode().Perm() != 0o750 {
		t.Fatalf("folder's mode %v, %v", before.Mode(), err)
	}
	if err := os.Remove(r.path("apps/web/1/f")); err != nil {
		t.Fatal(err)
	}
	// What the hook started reads from there still.
	mended := r.verify("web", true)["release web@1"]
	after, err := os.Stat(r.path("apps/web/1"))
	group := func(fi os.FileInfo) uint32 { return fi.Sys().(*syscall.Stat_t).Gid }
	if err != nil || mended.State != admin.Mended || os.SameFile(before, after) || after.Mode() != before.Mode() || group(after) != group(before) {
		t.Errorf("%+v: mode %v and group %d, before %v and %d, %v", mended, after.Mode(), group(after), before.Mode(), group(before), err)
	}
}

// TestLentIsTakenBackAtTheStart but not from a hook that may run on.
func TestLentIsTakenBackAtTheStart(t *testing.T) {
	r := newRig(t)
	for _, path := range []string{"lent/web/x", "lent/db/x", "state/hooks/db", "cache/x"} {
		if err := os.MkdirAll(filepath.Dir(r.path(path)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(r.path(path), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.start()
	eventually(t, "the first is taken back", func() bool { return !exists(r.path("lent/web")) })
	if !exists(r.path("lent/db/x")) {
		t.Error("the second too")
	}
}

func TestLendAgain(t *testing.T) {
	l := layout{t.TempDir()}
	cached := filepath.Join(l.root, "artifact")
	write := func(content string) {
		t.Helper()
		if err := errors.Join(os.RemoveAll(cached), os.WriteFile(cached, []byte(content), 0o444)); err != nil {
			t.Fatal(err)
		}
	}
	for _, content := range []string{"one", "one", "another"} {
		write(content)
		path, err := l.lend("web", cached, os.Getgid())
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); string(b) != content {
			t.Errorf("lent %q, %v, want %q", b, err, content)
		}
	}
}

func TestLimitsThatThisHostCannotHold(t *testing.T) {
	r := newRig(t)
	r.cfg.Apps["db"] = App{Limits: hook.Limits{User: "no-such-user"}}
	_, err := r.open()
	if !errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), `apps.db.limits.user: `) || strings.Contains(err.Error(), "\n") {
		t.Errorf("error is %v", err)
	}
	r.cfg.Apps["db"] = App{Limits: r.lodger()}
	if err := os.Chmod(r.path(), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err = r.open(); !errors.Is(err, release.ErrInvalid) || !strings.Contains(err.Error(), r.path()+" (mode drwx------)") {
		t.Errorf("error is %v", err)
	}
}

// TestLimitsWithoutCgroups says once what does not hold, or has it hold.
func TestLimitsWithoutCgroups(t *testing.T) {
	r := newRig(t)
	core, logs := observer.New(zap.WarnLevel)
	r.log = zap.New(core)
	r.cfg.Apps["web"] = r.anyone(App{Limits: hook.Limits{Nice: 3, Memory: 64 << 20, Processes: 20}}, `cut -d' ' -f19 /proc/self/stat`)
	_, lacking := hook.OpenCgroup(zap.NewNop(), r.cfg.Apps["web"].Limits)
	g := r.goods("x")
	r.start()
	for _, deploy := range []string{"d-1", "d-2"} {
		r.office.give(g.order(deploy, "web", deploy))
		if got := r.office.await(t, deploy, release.Active); got.Hook == nil || got.Hook.Tail != "3\n" {
			t.Errorf("hook %+v", got.Hook)
		}
	}
	said := logs.FilterMessageSnippet("do not hold").Len()
	if lacking != nil && said != 1 || lacking == nil && said != 0 {
		t.Errorf("said %d times, lacking: %v", said, lacking)
	}
}

func TestLimitsOfAnApp(t *testing.T) {
	var c Config
	err := yaml.UnmarshalWithOptions([]byte("apps: {web: {limits: {user: deploy, nice: 10, memory: 2GiB, processes: 256}}}"), &c, yaml.Strict())
	if want := (hook.Limits{User: "deploy", Nice: 10, Memory: 2 << 30, Processes: 256}); err != nil || c.Apps["web"].Limits != want {
		t.Errorf("%+v, %v", c.Apps["web"], err)
	}
}
