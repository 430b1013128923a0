package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"crow/internal/release"
)

// TestAgentRestartsDuringItsHook does what systemctl restart does while hooks run, one
// of which obeys SIGTERM and one does not: both are ended with their agents, and run
// once more with the next ones.
func TestAgentRestartsDuringItsHook(t *testing.T) {
	dir := t.TempDir()
	f := startFleet(t, 2, peerConfig{app: hook(t, "", "cd "+dir+`
log=log.$CROW_HOST
echo $$ >pid.$CROW_HOST
trap 'echo term >>$log; [ $CROW_HOST = host-2 ] || exit 0' TERM
echo begin >>$log
if [ -e go ]; then echo end >>$log; exit 0; fi
while :; do sleep 0.1; done
`)})
	wantLog := func(p string, want string) {
		t.Helper()
		f.eventually(30*time.Second, "hook of "+p, func() error {
			b, err := os.ReadFile(filepath.Join(dir, "log."+p))
			if got := strings.Join(strings.Fields(string(b)), " "); got != want {
				return fmt.Errorf("its log is %q, want %q (%v)", got, want, err)
			}
			return nil
		})
	}
	done := f.pushInBackground(artifact(t, 1<<20), "1")
	for _, p := range f.peers {
		wantLog(p.name, "begin")
	}
	for _, p := range f.peers {
		p.terminate()
	}
	for _, p := range f.peers {
		p.stop()
		wantLog(p.name, "begin term")
		pid, err := strconv.Atoi(strings.TrimSpace(mustRead(t, filepath.Join(dir, "pid."+p.name))))
		if err != nil || !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			t.Errorf("%s: its hook, %d, outlived its agent", p.name, pid)
		}
	}
	if s := f.status("web"); s.Phase.Ended() || host(t, s, "host-1").Phase != release.Activating {
		t.Errorf("while the agents are away the deploy is %s, host-1 is %s", s.Phase, host(t, s, "host-1").Phase)
	}
	write(t, filepath.Join(dir, "go"), "", 0o644)
	for _, p := range f.peers {
		p.start()
	}
	if r := <-done; r.code != 0 {
		t.Errorf("push: %+v", r)
	}
	for _, p := range f.peers {
		wantLog(p.name, "begin term begin end")
		if h := host(t, f.status("web"), p.name); h.Phase != release.Active || h.Hook == nil || h.Hook.Exit != 0 {
			t.Errorf("%s: %+v", p.name, h)
		}
	}
}
