package peer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/release"
)

// checked is an app whose check is asked often.
func checked() App { return App{CheckTimeout: patience, CheckInterval: 10 * time.Millisecond} }

func TestActiveOnceTheCheckPasses(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	app := r.hook(checked(), "cd "+dir+"; echo hook >> log")
	r.cfg.Apps["web"] = r.check(app, "cd "+dir+`
		echo check $CROW_VERSION in $OLDPWD of $CROW_RELEASE_DIR >> log
		echo not yet; [ -e well ]`)
	g := r.goods("build")
	r.start()
	r.office.give(g.order("d-1", "web", "1"))
	log := filepath.Join(dir, "log")
	eventually(t, "three checks", func() bool { return len(lines(log)) > 3 })
	got := r.office.await(t, "d-1", release.Activating)
	if got.Hook == nil || got.Hook.Exit != 0 {
		t.Errorf("while the check fails: %+v", got)
	}
	if err := os.WriteFile(filepath.Join(dir, "well"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got = r.office.await(t, "d-1", release.Active)
	if got.Check == nil || got.Check.Exit != 0 || got.Check.Seconds < 0.02 || got.Check.Tail != "not yet\n" {
		t.Errorf("check is %+v", got.Check)
	}
	said := lines(log)
	want := "check 1 in " + r.path("apps/web/1") + " of " + r.path("apps/web/1")
	if said[0] != "hook" || slices.ContainsFunc(said[1:], func(s string) bool { return s != want }) {
		t.Errorf("hook and checks said %q", said)
	}
}

func TestUnhealthyHosts(t *testing.T) {
	tests := []struct {
		name  string
		check func(r *rig, app App) App
		want  string // of the reason, N being any number
		exit  int
		tail  string
	}{
		{"never well", func(r *rig, app App) App { return r.check(app, "echo no; exit 3") },
			"check: not healthy within 300ms: exited with status 3 after N tries", 3, "no\n"},
		{"hangs", func(r *rig, app App) App { return r.check(app, "echo hm; sleep 60") },
			"check: not healthy within 300ms: was ended: its time is over after N try", -1, "hm\n"},
		{"is not there", func(_ *rig, app App) App { app.Check = []string{"/nowhere/check"}; return app },
			"check: not healthy within 300ms: start /nowhere/check: no such file or directory after N tries", -1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			app := checked()
			app.CheckTimeout = 300 * time.Millisecond
			r.cfg.Apps["web"] = test.check(r, r.hook(app, "exit 0"))
			r.start()
			r.office.give(r.goods("build").order("d-1", "web", "1"))
			got := r.office.await(t, "d-1", release.Failed)
			begin, end, _ := strings.Cut(test.want, "N")
			if !strings.HasPrefix(got.Reason, begin) || !strings.HasSuffix(got.Reason, end) {
				t.Errorf("reason is %q, want %q", got.Reason, test.want)
			}
			if got.Hook == nil || got.Hook.Exit != 0 || got.Check == nil || got.Check.Exit != test.exit || got.Check.Tail != test.tail {
				t.Errorf("hook %+v, check %+v", got.Hook, got.Check)
			}
		})
	}
}

func TestCheckNeedsNoHook(t *testing.T) {
	r := newRig(t)
	r.cfg.Apps["web"] = r.check(checked(), "true")
	r.start()
	r.office.give(r.goods("build").order("d-1", "web", "1"))
	if got := r.office.await(t, "d-1", release.Active); got.Check == nil || got.Hook != nil {
		t.Errorf("report is %+v", got)
	}
}

func TestKilledInCheck(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	app := r.hook(App{}, "echo hook >> "+dir+"/log")
	r.cfg.Apps["*"] = r.check(app, "cd "+dir+"; echo begin >> log; while [ ! -e go ]; do sleep 0.01; done; echo end >> log")
	g := r.goods("build")
	kill := r.startVictim(victimForever)
	r.office.give(g.order("d-1", "web", "1"))
	log := filepath.Join(dir, "log")
	eventually(t, "check runs", func() bool { return len(lines(log)) == 2 })
	kill()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.office.await(t, "d-1", release.Active)
	// The first check outlived its agent; what came after came after its end.
	if got := lines(log); !slices.Equal(got, []string{"hook", "begin", "end", "hook", "begin", "end"}) {
		t.Errorf("hooks and checks: %q", got)
	}
}
