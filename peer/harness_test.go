package peer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"crow/internal/release"
	"crow/internal/swarm"
)

// rig is one host, its seeder and what they deploy.
type rig struct {
	t      *testing.T
	office *office
	store  warehouse
	cfg    Config
	gate   func(context.Context, release.Digest, int64) error
	timing timing
	log    *zap.Logger
}

// agentUnderTest is one life of a host's agent.
type agentUnderTest struct {
	*Peer
	copier  *copier
	dropped func(infohash release.Digest) // what a swarm calls
	end     context.CancelFunc
	ended   chan error
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{
		t: t, office: newOffice(t), store: warehouse{t.TempDir()}, timing: quick(),
		log: zaptest.NewLogger(t, zaptest.Level(zap.WarnLevel)),
	}
	r.cfg = quietConfig(t.TempDir(), r.office.url())
	return r
}

func quietConfig(dir, seeder string) Config {
	c := DefaultConfig()
	c.Name, c.DataDir, c.Seeders, c.TLS.Off = "web-1", dir, []string{seeder}, true
	c.SwarmListen, c.GossipListen = "127.0.0.1:0", "127.0.0.1:0"
	c.DiskMargin = 1
	c.Apps = map[string]App{"*": {}}
	return c
}

// quick is a timing in which a test can see everything happen.
func quick() timing {
	return timing{
		stall: patience, poll: 2 * time.Second, answer: 50 * time.Millisecond, idle: 10 * time.Millisecond,
		retryMin: 5 * time.Millisecond, retryMax: 50 * time.Millisecond, taken: 20 * time.Millisecond,
		report: 5 * time.Millisecond, neighbours: 20 * time.Millisecond,
		look: 20 * time.Millisecond, silent: patience,
	}
}

// open makes an agent with a copier for a swarm.
func (r *rig) open() (*agentUnderTest, error) {
	a := &agentUnderTest{copier: newCopier(r.store), ended: make(chan error, 1)}
	a.copier.gate = r.gate
	var err error
	a.Peer, err = open(r.cfg, Options{Version: "test", Log: r.log}, r.timing, func(c swarm.Config) (node, error) {
		a.dropped = c.Dropped
		return a.copier, nil
	})
	return a, err
}

// start begins a life; the test's end ends it.
func (r *rig) start() *agentUnderTest {
	r.t.Helper()
	a, err := r.open()
	if err != nil {
		r.t.Fatal(err)
	}
	r.begin(a)
	return a
}

// begin is start of an agent that a test has made and changed.
func (r *rig) begin(a *agentUnderTest) {
	ctx, cancel := context.WithCancel(context.Background())
	a.end = cancel
	go func() { a.ended <- a.Run(ctx) }()
	r.t.Cleanup(func() { a.stop(r.t) })
}

// stop ends a life; more than once is no harm.
func (a *agentUnderTest) stop(t testing.TB) {
	t.Helper()
	a.end()
	select {
	case err := <-a.ended:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		a.ended <- nil
	case <-time.After(patience):
		t.Fatal("Run does not return")
	}
}

// goods adds an artifact that is one file to the seeder and the warehouse.
func (r *rig) goods(content string) goods {
	r.t.Helper()
	return r.office.stock(r.store.add(r.t, []byte(content), release.FormatFile))
}

func (r *rig) archive(files map[string]string) goods {
	r.t.Helper()
	return r.office.stock(r.store.add(r.t, tarOf(r.t, files), release.FormatTar))
}

// hook makes a shell script the hook of an app. It is handed to sh, since a
// file that was just written may be busy while another test forks.
func (r *rig) hook(app App, script string) App {
	r.t.Helper()
	app.Hook = r.program(script)
	return app
}

// check makes a shell script the check of an app.
func (r *rig) check(app App, script string) App {
	r.t.Helper()
	app.Check = r.program(script)
	return app
}

func (r *rig) program(script string) []string {
	r.t.Helper()
	path := filepath.Join(r.t.TempDir(), "script.sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		r.t.Fatal(err)
	}
	return []string{"/bin/sh", path}
}

func (r *rig) path(parts ...string) string {
	return filepath.Join(append([]string{r.cfg.DataDir}, parts...)...)
}

func (r *rig) current(app string) string { return layout{r.cfg.DataDir}.current(app) }

func (r *rig) read(parts ...string) string {
	b, err := os.ReadFile(r.path(parts...))
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// eventually waits for something on disk or in memory that nobody reports.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(patience); !is(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// lines are what a hook has appended to a file.
func lines(path string) []string {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	all := strings.Split(string(b), "\n")
	return all[:len(all)-1] // what follows the last newline is being written
}

// names lists a folder.
func names(t testing.TB, dir string) (all []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// big is content of n chunks.
func big(seed string, n int) string {
	line := fmt.Sprintf("%s-%031d", seed, n)
	return strings.Repeat(line, n*chunk/len(line)+1)[:n*chunk]
}

// nopLog is for tests whose subject is failure.
var nopLog = zap.NewNop()

// run runs something beside the test until the test ends.
func (r *rig) run(f func(context.Context) error) {
	r.t.Helper()
	runFor(r.t, f)
}

func runFor(t *testing.T, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
