package seeder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/swarm"
	"crow/internal/transport"
	"crow/tracker"
)

func testConfig(dir string) Config {
	c := DefaultConfig()
	c.DataDir, c.TLS.Off = dir, true
	c.Listen, c.SwarmListen, c.GossipListen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	return c
}

// start runs a whole seeder until the test ends or stop is called.
func start(t *testing.T, cfg Config, log *zap.Logger) (s *Seeder, c *control.Client, stop func()) {
	t.Helper()
	s = must[*Seeder](t)(newSeeder(cfg, Options{Version: "test", Log: log}, quickPace()))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	http := transport.Security{}.HTTPClient()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		http.CloseIdleConnections()
	})
	t.Cleanup(stop)
	return s, must[*control.Client](t)(control.NewClient("http://"+s.Addr().String(), http)), stop
}

// pushTo uploads an artifact and makes web@version of it.
func pushTo(t *testing.T, c *control.Client, version string, size int) ([]byte, control.Blob) {
	t.Helper()
	b, found := artifact(t, version, size)
	must[control.Blob](t)(c.Upload(t.Context(), bytes.NewReader(b)))
	counter := uint64(len(must[[]control.Release](t)(c.Releases(t.Context(), "web"))) + 1)
	m := found.Manifest(release.Ref{App: "web", Version: version}, counter, time.Now())
	must[control.Release](t)(c.CreateRelease(t.Context(), control.CreateRelease{Manifest: m}))
	return b, found.Blob
}

// TestSwarmFetchesFromTheSeeder has a real torrent client fetch what was pushed,
// over the seeder's own tracker, before and after a restart.
func TestSwarmFetchesFromTheSeeder(t *testing.T) {
	dir := t.TempDir()
	core, logs := observer.New(zapcore.InfoLevel)
	_, c, stop := start(t, testConfig(dir), zap.New(core))
	must[control.Welcome](t)(c.Hello(t.Context(), "a", helloOf("a", nil)))
	want, blob := pushTo(t, c, "1", 3<<20)
	s := must[control.DeployStatus](t)(c.CreateDeploy(t.Context(), request("web", "1", "name=*")))
	if got := fetch(t, c, blob); !bytes.Equal(got, want) {
		t.Error("the swarm gave other bytes")
	}
	eventually(t, "what was sent is counted", func() bool {
		return must[control.DeployStatus](t)(c.Status(t.Context(), s.Deploy, 0, 0)).SeederBytesSent >= int64(len(want))
	})
	stop()
	for _, message := range []string{"tls is off", "seeder started", "host joined", "release created", "deploy started", "release offered", "seeder stopped"} {
		if n := logs.FilterMessage(message).Len(); n != 1 {
			t.Errorf("%d lines say %q, want one", n, message)
		}
	}

	core, logs = observer.New(zapcore.InfoLevel)
	_, c, _ = start(t, testConfig(dir), zap.New(core))
	if got := fetch(t, c, blob); !bytes.Equal(got, want) {
		t.Error("after a restart the swarm gave other bytes")
	}
	got := must[control.DeployStatus](t)(c.Status(t.Context(), "web", 0, 0))
	if got.Deploy != s.Deploy || got.Phase != release.DeployRunning || got.SeederBytesSent < int64(len(want)) {
		t.Errorf("after a restart: %+v", got)
	}
	if logs.FilterMessage("artifact's file was touched: hashing it again").Len() > 0 {
		t.Error("it hashed again what nobody touched")
	}
}

// fetch downloads an artifact as a peer does.
func fetch(t *testing.T, c *control.Client, blob control.Blob) []byte {
	t.Helper()
	torrent := must[[]byte](t)(c.Torrent(t.Context(), blob.SHA256))
	o := must[control.Orders](t)(c.Orders(t.Context(), "a", "", 0, 0))
	peer := must[*swarm.Swarm](t)(swarm.New(swarm.Config{
		Role: swarm.RolePeer, Listen: "127.0.0.1:0", Advertise: "127.0.0.1", Log: zap.NewNop(),
	}))
	peer.SetTrackers(o.Trackers)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	ended := make(chan error, 1)
	go func() { ended <- peer.Run(ctx) }()
	path := filepath.Join(t.TempDir(), "artifact")
	err := peer.Fetch(ctx, torrent, path, func(swarm.Progress) {})
	b, readErr := os.ReadFile(path)
	cancel()
	if runErr := <-ended; err != nil || readErr != nil || runErr != nil {
		t.Fatal(err, readErr, runErr)
	}
	return b
}

// TestGossipTellsOfHosts lets a host's gossip come and go.
func TestGossipTellsOfHosts(t *testing.T) {
	s, c, _ := start(t, testConfig(t.TempDir()), zap.NewNop())
	must[control.Welcome](t)(c.Hello(t.Context(), "a", helloOf("a", nil)))
	g := must[*gossip.Gossip](t)(gossip.New(gossip.Config{
		Name: "a", Listen: "127.0.0.1:0", Advertise: "127.0.0.1", Join: []string{s.GossipAddr().String()},
		Tags: gossip.Tags(gossip.RolePeer, 1, nil), Log: zap.NewNop(),
	}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	eventually(t, "gossip knows the host", func() bool {
		member := must[control.HostState](t)(ask(t.Context(), s.ledger, func(b *books, _ time.Time) (control.HostState, error) {
			return b.fleet.hosts["a"].member, nil
		}))
		return member == control.HostAlive
	})
	pushTo(t, c, "1", 1000)
	must[control.DeployStatus](t)(c.CreateDeploy(t.Context(), request("web", "1", "name=*")))
	for e := range g.Events() {
		if e.Kind == gossip.Woken {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	state := func() control.HostState { return must[[]control.Host](t)(c.Hosts(t.Context(), nil))[0].State }
	eventually(t, "the host may be gone", func() bool { return state() == control.HostFailed })
	if err := c.Goodbye(t.Context(), "a", "an earlier boot"); err != nil || state() != control.HostFailed {
		t.Errorf("an earlier agent's goodbye: %v, the host is %s", err, state())
	}
	if err := c.Goodbye(t.Context(), "a", "boot-a"); err != nil || state() != control.HostLeft {
		t.Errorf("goodbye: %v, the host is %s", err, state())
	}
}

// TestTrackerElsewhere has a tracker that runs alone serve the seeder's swarm.
func TestTrackerElsewhere(t *testing.T) {
	alone := tracker.DefaultServerConfig()
	alone.Listen, alone.TLS.Off = "127.0.0.1:0", true
	other := must[*tracker.Server](t)(tracker.NewServer(alone, zap.NewNop()))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- other.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	cfg := testConfig(t.TempDir())
	cfg.Trackers = []string{"http://" + other.Addr().String() + tracker.PathAnnounce}
	_, c, _ := start(t, cfg, zap.NewNop())
	must[control.Welcome](t)(c.Hello(t.Context(), "a", helloOf("a", nil)))
	want, blob := pushTo(t, c, "1", 100_000)
	must[control.DeployStatus](t)(c.CreateDeploy(t.Context(), request("web", "1", "name=*")))
	if got := fetch(t, c, blob); !bytes.Equal(got, want) {
		t.Error("the swarm gave other bytes")
	}
}

// TestNewUndoesItsWork takes each of the seeder's ports in turn, and holds that
// the error names it and that a second try is not kept out by the first.
func TestNewUndoesItsWork(t *testing.T) {
	taken := must[net.Listener](t)(net.Listen("tcp", "127.0.0.1:0"))
	defer taken.Close()
	dir := t.TempDir()
	for name, take := range map[string]func(*Config){
		"listen": func(c *Config) { c.Listen = taken.Addr().String() },
		"swarm":  func(c *Config) { c.SwarmListen = taken.Addr().String() },
		"gossip": func(c *Config) { c.GossipListen = taken.Addr().String() },
	} {
		cfg := testConfig(dir)
		take(&cfg)
		_, err := New(cfg, Options{})
		if err == nil || !strings.Contains(err.Error(), taken.Addr().String()) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %s", name, err, taken.Addr())
		}
	}
	_, _, stop := start(t, testConfig(dir), nil)
	stop()
}

// TestManyDeploysLeakNothing pushes version after version and holds that the
// seeder is no larger after the last than after the first few.
func TestManyDeploysLeakNothing(t *testing.T) {
	const settled, deploys = 20, 120
	_, c, _ := start(t, testConfig(t.TempDir()), nil)
	must[control.Welcome](t)(c.Hello(t.Context(), "a", helloOf("a", nil)))
	goroutines, files := 0, 0
	for i := range deploys {
		pushTo(t, c, fmt.Sprint(i), 1000)
		s := must[control.DeployStatus](t)(c.CreateDeploy(t.Context(), request("web", fmt.Sprint(i), "name=*")))
		o := must[control.Orders](t)(c.Orders(t.Context(), "a", "", 0, 0)).Orders[0]
		must[control.Receipt](t)(c.Report(t.Context(), control.Report{
			Host: "a", Boot: "boot-a", Seq: uint64(i + 1), Jobs: []control.JobReport{jobOf(o, release.Active, "")},
		}))
		if s = must[control.DeployStatus](t)(c.Status(t.Context(), s.Deploy, 0, 0)); s.Phase != release.DeploySucceeded {
			t.Fatalf("deploy %d is %s", i, s.Phase)
		}
		if i == settled {
			goroutines, files = runtime.NumGoroutine(), openFiles(t)
		}
	}
	const slack = 10 // connections come and go
	eventually(t, "goroutines and files are as few as before", func() bool {
		return runtime.NumGoroutine() <= goroutines+slack && openFiles(t) <= files+slack
	})
}

func openFiles(t *testing.T) int {
	return len(must[[]os.DirEntry](t)(os.ReadDir("/proc/self/fd")))
}

func TestTwoSeedersOnOneStore(t *testing.T) {
	dir := t.TempDir()
	start(t, testConfig(dir), nil)
	if _, err := New(testConfig(dir), Options{}); err == nil || !strings.Contains(err.Error(), store.ErrLocked.Error()) {
		t.Errorf("error %v", err)
	}
}

func TestDamagedDocumentStopsTheStart(t *testing.T) {
	for _, kind := range []string{kindRelease, kindDeploy, kindBlob, kindFleet} {
		cfg := testConfig(t.TempDir())
		name := kind // of a document; the fleet's is called so
		dir := must[*store.Dir](t)(store.Open(cfg.storeDir(), zap.NewNop()))
		if err := dir.PutDoc(kind, name, []byte("{")); err != nil {
			t.Fatal(err)
		}
		if err := dir.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := New(cfg, Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", kind, err)
		}
	}
}

func TestConfigNamesTheBadKey(t *testing.T) {
	for key, spoil := range map[string]func(*Config){
		"name":            func(c *Config) { c.Name = "a b" },
		"data_dir":        func(c *Config) { c.DataDir = "relative" },
		"advertise":       func(c *Config) { c.Advertise = "0.0.0.0" },
		"tls":             func(c *Config) { c.TLS.Off = false },
		"swarm_listen":    func(c *Config) { c.SwarmListen = "0.0.0.0:7401" },
		"gossip_listen":   func(c *Config) { c.GossipListen = "7402" },
		"gossip_key_file": func(c *Config) { c.GossipKeyFile = "/dev/null" },
		"trackers":        func(c *Config) { c.Trackers = []string{"udp://x"} },
	} {
		cfg := testConfig(t.TempDir())
		spoil(&cfg)
		if _, err := New(cfg, Options{}); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: error %v", key, err)
		}
		if err := cfg.Validate(); err != nil && !errors.Is(err, release.ErrInvalid) && !errors.Is(err, transport.ErrInsecure) {
			t.Errorf("%s: error %v is not called the config's", key, err)
		}
	}
}

// TestAdvertiseIsReachable holds that a seeder of a fleet does not tell hosts to
// look for it on themselves.
func TestAdvertiseIsReachable(t *testing.T) {
	for key, open := range map[string]func(*Config){
		"listen":        func(c *Config) { c.Listen = "10.0.0.5:7400" },
		"swarm_listen":  func(c *Config) { c.SwarmListen = "0.0.0.0:7401" },
		"gossip_listen": func(c *Config) { c.GossipListen = "[::]:7402" },
	} {
		cfg := testConfig(t.TempDir())
		cfg.Insecure = true
		open(&cfg)
		err := cfg.Validate()
		if !errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), "advertise: ") || !strings.Contains(err.Error(), " "+key+" ") {
			t.Errorf("%s: error %v", key, err)
		}
		cfg.Advertise = "10.0.0.5"
		if err := cfg.Validate(); err != nil {
			t.Errorf("%s: error %v", key, err)
		}
	}
}

func TestHealthAndTrackerAreServed(t *testing.T) {
	s, _, _ := start(t, testConfig(t.TempDir()), nil)
	for path, want := range map[string]int{"/healthz": 200, "/announce": 200, "/scrape": 200, "/metrics": 200, "/": 404} {
		res := must[*http.Response](t)(http.Get(fmt.Sprintf("http://%s%s", s.Addr(), path)))
		res.Body.Close()
		if res.StatusCode != want {
			t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
