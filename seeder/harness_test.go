package seeder

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/httpserve"
	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/transport"
	"crow/seeder/audit"
	"crow/seeder/build"
	"crow/tracker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what takes milliseconds.
const patience = 20 * time.Second

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("still not so after %s: %s", patience, what)
		}
	}
}

// tb is what tests and rapid's properties have in common.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Cleanup(f func())
}

func must[T any](t tb) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// wantCode fails unless err is the API's error of that code, and returns it.
func wantCode(t tb, err error, code control.Code) *control.Error {
	t.Helper()
	e, ok := errors.AsType[*control.Error](err)
	if !ok || e.Code != code {
		t.Fatalf("got error %v, want code %s", err, code)
	}
	return e
}

// quickPace is for tests of real time.
func quickPace() pace {
	p := defaultPace()
	p.tick, p.judge, p.checkpoint, p.register = 10*time.Millisecond, 20*time.Millisecond, 50*time.Millisecond, 20*time.Millisecond
	return p
}

// countingSwarm stands where the torrent client does: it offers nothing, and
// counts what it was asked to.
type countingSwarm struct {
	mu    sync.Mutex
	seeds int
	sent  int64
}

func (s *countingSwarm) Seed([]byte, string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds++
	return nil
}

func (s *countingSwarm) Drop(release.Digest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seeds--
}

func (s *countingSwarm) Sent(release.Digest) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

func (s *countingSwarm) send(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent += n
}

func (s *countingSwarm) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seeds
}

// rig is a seeder without gossip and torrent client: ledger, offers and API,
// behind a real server.
type rig struct {
	t      *testing.T
	dir    string
	store  *store.Dir
	ledger *ledger
	api    *api
	swarm  *countingSwarm
	client *control.Client
	url    string
	stop   func()
}

func newRig(t *testing.T, dir string, p pace) *rig {
	t.Helper()
	r := &rig{t: t, dir: dir, swarm: &countingSwarm{}}
	log := zap.NewNop()
	r.store = must[*store.Dir](t)(store.Open(dir, log))
	journal := must[*audit.Log](t)(audit.Open(filepath.Join(t.TempDir(), auditFile)))
	t.Cleanup(func() { journal.Close() })
	e := &env{dir: r.store, audit: journal, log: log, pace: p, epoch: fmt.Sprint(time.Now().UnixNano()), started: time.Now()}
	r.ledger = newLedger(must[*books](t)(openBooks(e, r.swarm.Sent)))
	own := must[*tracker.Tracker](t)(tracker.New(tracker.DefaultConfig()))
	o := newOffers(r.ledger, r.store, r.swarm, own, nil, log)
	r.api = &api{
		ledger: r.ledger, dir: r.store, uploads: newUploads(r.ledger, o, r.store, log), offers: o,
		metrics: newMetrics(r.ledger, transport.Security{}.Expires), env: e, log: log, trackers: []string{"http://127.0.0.1:1/announce"}, epoch: e.epoch, hold: p.hold(),
		await: func(context.Context, int) error { return nil }, // no client, no limit
	}
	r.serve(e.pace)
	t.Cleanup(r.stop)
	return r
}

func (r *rig) serve(p pace) {
	server := must[*httpserve.Server](r.t)(httpserve.New(httpserve.Config{Listen: "127.0.0.1:0", Handler: control.Guard(r.api.routes())}))
	r.url = "http://" + server.Addr().String()
	r.client = r.newClient()
	ctx, cancel := context.WithCancel(r.t.Context())
	books, closeBooks := context.WithCancel(context.WithoutCancel(ctx))
	var parts, owner sync.WaitGroup
	owner.Go(func() {
		if err := r.ledger.run(books); err != nil {
			r.t.Error(err)
		}
	})
	parts.Go(func() {
		if err := server.Run(ctx); err != nil {
			r.t.Error(err)
		}
	})
	parts.Go(func() {
		if err := r.api.offers.run(ctx, r.ledger.books.stir, p.renew, func() {}); err != nil {
			r.t.Error(err)
		}
	})
	r.stop = sync.OnceFunc(func() {
		cancel()
		parts.Wait()
		closeBooks()
		owner.Wait()
		if err := r.store.Close(); err != nil {
			r.t.Error(err)
		}
	})
}

// newClient returns a client with connections of its own.
func (r *rig) newClient() *control.Client {
	http := transport.Security{}.HTTPClient()
	r.t.Cleanup(http.CloseIdleConnections)
	return must[*control.Client](r.t)(control.NewClient(r.url, http))
}

// killed returns what is on disk as a kill at this moment would leave it, in a
// directory of its own.
func (r *rig) killed() string {
	r.t.Helper()
	dir := filepath.Join(r.t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(r.dir)); err != nil {
		r.t.Fatal(err)
	}
	return dir
}

// artifact returns bytes that differ with seed, and what they are.
func artifact(t tb, seed string, size int) ([]byte, build.Result) {
	t.Helper()
	sum := sha256.Sum256([]byte(seed))
	b := bytes.Repeat(sum[:], size/len(sum)+1)[:size]
	h := build.NewHasher()
	if _, err := io.Copy(h, bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return b, must[build.Result](t)(h.Sum())
}

// push uploads an artifact and makes a release of it.
func (r *rig) push(app, version string) build.Result {
	r.t.Helper()
	b, found := artifact(r.t, app+version, 100_000)
	must[control.Blob](r.t)(r.client.Upload(r.t.Context(), bytes.NewReader(b)))
	must[control.Release](r.t)(r.create(app, version, found.Blob))
	return found
}

// create asks for a release with the counter that is next.
func (r *rig) create(app, version string, b control.Blob) (control.Release, error) {
	counter := uint64(1)
	for _, known := range must[[]control.Release](r.t)(r.client.Releases(r.t.Context(), app)) {
		counter = max(counter, known.Counter+1)
	}
	m := b.Manifest(release.Ref{App: app, Version: version}, counter, time.Now())
	return r.client.CreateRelease(r.t.Context(), control.CreateRelease{Manifest: m})
}

func (r *rig) deploy(app, version string, targets ...release.Expr) control.DeployStatus {
	r.t.Helper()
	return must[control.DeployStatus](r.t)(r.client.CreateDeploy(r.t.Context(), request(app, version, targets...)))
}

func request(app, version string, targets ...release.Expr) control.CreateDeploy {
	return control.CreateDeploy{Ref: release.Ref{App: app, Version: version}, Selector: release.Selector{Targets: targets}}
}

func (r *rig) status(idOrApp string) control.DeployStatus {
	r.t.Helper()
	return must[control.DeployStatus](r.t)(r.client.Status(r.t.Context(), idOrApp, 0, 0))
}

// agent plays a host by the control API.
type agent struct {
	rig    *rig
	name   string
	client *control.Client
	hi     control.Hello
	seq    uint64
}

func (r *rig) agent(name string, labels release.Labels) *agent {
	r.t.Helper()
	a := &agent{rig: r, name: name, client: r.client, hi: helloOf(name, labels)}
	must[control.Welcome](r.t)(a.client.Hello(r.t.Context(), name, a.hi))
	return a
}

func helloOf(name string, labels release.Labels) control.Hello {
	return control.Hello{Boot: "boot-" + name, Address: "127.0.0.1", SwarmPort: 7401, Labels: labels, Apps: []string{"*"}, Crow: "test"}
}

// report says where the host stands with one order.
func (a *agent) report(o control.Order, phase release.Phase, reason string) error {
	a.seq++
	_, err := a.client.Report(a.rig.t.Context(), control.Report{
		Host: a.name, Boot: a.hi.Boot, Seq: a.seq, Running: map[string]string{}, Jobs: []control.JobReport{jobOf(o, phase, reason)},
	})
	return err
}

func jobOf(o control.Order, phase release.Phase, reason string) control.JobReport {
	return control.JobReport{Deploy: o.Deploy, App: o.Manifest.App, Version: o.Manifest.Version, Phase: phase, Reason: reason}
}

// order waits for the host's one order of an app.
func (a *agent) order(app string) control.Order {
	a.rig.t.Helper()
	var got control.Order
	eventually(a.rig.t, a.name+" has an order of "+app, func() bool {
		o := must[control.Orders](a.rig.t)(a.client.Orders(a.rig.t.Context(), a.name, "", 0, 0))
		for _, one := range o.Orders {
			if one.Manifest.App == app {
				got = one
				return true
			}
		}
		return false
	})
	return got
}

// finish reports the host's order of an app to be done.
func (a *agent) finish(app string) {
	a.rig.t.Helper()
	if err := a.report(a.order(app), release.Active, ""); err != nil {
		a.rig.t.Fatal(err)
	}
}
