package tracker

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/goccy/go-yaml"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	client "github.com/anacrolix/torrent/tracker"

	"crow/internal/release"
	"crow/internal/transport"
)

// startServer runs a tracker alone and returns its URL and its log.
func startServer(t *testing.T) (string, *observer.ObservedLogs) {
	t.Helper()
	cfg := DefaultServerConfig()
	cfg.Listen, cfg.TLS.Off = "127.0.0.1:0", true
	core, logs := observer.New(zap.DebugLevel)
	s, err := NewServer(cfg, zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return "http://" + s.Addr().String(), logs
}

func httpClient(t *testing.T) *http.Client {
	c := transport.Security{}.HTTPClient()
	t.Cleanup(c.CloseIdleConnections)
	return c
}

func announceTo(base string, torrent release.Digest) error {
	_, err := client.Announce{
		TrackerUrl: base + PathAnnounce,
		Request:    client.AnnounceRequest{InfoHash: torrent.Short(), Port: 1},
	}.Do()
	return err
}

// Two seeders register their torrents with two trackers; announces then go
// through, also while a third tracker is down.
func TestServerLearnsItsTorrents(t *testing.T) {
	a, logs := startServer(t)
	b, _ := startServer(t)
	down := "http://127.0.0.1:1"
	other := release.Digest{9}
	if err := announceTo(a, torrent); err == nil || !strings.Contains(err.Error(), string(failUnregistered)) {
		t.Errorf("before it is registered: got %v", err)
	}
	for _, one := range []release.Digest{torrent, other} {
		r, err := NewRegistrar([]string{a + PathAnnounce, down + PathAnnounce, b + PathAnnounce}, httpClient(t))
		if err != nil {
			t.Fatal(err)
		}
		err = r.Renew(t.Context(), []release.Digest{one})
		if err == nil || !strings.Contains(err.Error(), down) || strings.Contains(err.Error(), a) {
			t.Errorf("with one tracker down: got %v", err)
		}
	}
	for _, base := range []string{a, b} {
		for _, one := range []release.Digest{torrent, other} {
			if err := announceTo(base, one); err != nil {
				t.Errorf("%s of %s: %v", one, base, err)
			}
		}
	}
	for _, message := range []string{"tls is off", "tracker started"} {
		check(t, message, logs.FilterMessage(message).Len(), 1)
	}
}

func TestRegistrationIsChecked(t *testing.T) {
	base, logs := startServer(t)
	c := httpClient(t)
	most := strings.Repeat(`"`+torrent.String()+`",`, MaxRegistration-1) + `"` + torrent.String() + `"`
	for _, test := range []struct {
		name, method, path, body string
		status                   int
	}{
		{"good", "PUT", PathTorrents, `{"infohashes":["` + torrent.String() + `"]}`, 204},
		{"none", "PUT", PathTorrents, `{"infohashes":[]}`, 204},
		{"most", "PUT", PathTorrents, `{"infohashes":[` + most + `]}`, 204},
		{"short", "PUT", PathTorrents, `{"infohashes":["abc"]}`, 400},
		{"no json", "PUT", PathTorrents, `hello`, 400},
		{"too long", "PUT", PathTorrents, `{"infohashes":["` + strings.Repeat("a", maxRegistrationLen) + `"]}`, 413},
		{"no content type", "PUT", PathTorrents, `{"infohashes":[]}`, 400},
		{"of another site", "PUT", PathTorrents, `{"infohashes":[]}`, 403},
		{"other method", "POST", PathTorrents, `{}`, 405},
		{"other path", "GET", "/v1/other", "", 404},
		{"health", "GET", "/healthz", "", 200},
	} {
		req, err := http.NewRequest(test.method, base+test.path, strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		if test.name != "no content type" {
			req.Header.Set("Content-Type", "application/json")
		}
		if test.name == "of another site" {
			req.Header.Set("Origin", "http://evil.example")
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatalf("%s: %v", test.name, err)
		}
		res.Body.Close()
		check(t, test.name, res.StatusCode, test.status)
	}
	check(t, "refusals in the log", logs.FilterMessage("registration was refused").FilterLevelExact(zap.DebugLevel).Len(), 4)
}

func TestRegistrarTellsRefusals(t *testing.T) {
	base, _ := startServer(t)
	r, err := NewRegistrar([]string{base + PathAnnounce}, httpClient(t))
	if err != nil {
		t.Fatal(err)
	}
	many := make([]release.Digest, MaxRegistration+1)
	for i := range many {
		many[i] = release.Digest{byte(i >> 8), byte(i)}
	}
	err = r.Renew(t.Context(), many)
	if err == nil || !strings.Contains(err.Error(), "at most 10000") {
		t.Errorf("too many torrents: got %v", err)
	}
	foreign, err := NewRegistrar([]string{base + "/elsewhere" + PathAnnounce}, httpClient(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := foreign.Renew(t.Context(), many[:1]); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("a tracker that takes no registrations: got %v", err)
	}
	for _, bad := range []string{"", "udp://10.0.0.1:80/announce", "http://10.0.0.1", "http:///announce", "http://a b/announce"} {
		if _, err := NewRegistrar([]string{bad}, nil); !errors.Is(err, release.ErrInvalid) {
			t.Errorf("%q: got %v", bad, err)
		}
	}
}

func TestLeasesEndUnlessRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, err := New(DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		kept, dropped := release.Digest{1}, release.Digest{2}
		l := newLeases(tr)
		l.most = 2
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- l.run(ctx) }()
		if err := l.renew([]release.Digest{kept, dropped, kept}); err != nil {
			t.Fatal(err)
		}
		if err := l.renew([]release.Digest{{3}}); err == nil {
			t.Error("the number of leases is not bounded")
		}
		for range 11 {
			time.Sleep(RenewEvery) // of the bubble's clock
			if err := l.renew([]release.Digest{kept}); err != nil {
				t.Error(err)
			}
		}
		synctest.Wait()
		served := func(d release.Digest) bool {
			hash := d.Short()
			return ask(t, tr, PathAnnounce, "info_hash", string(hash[:]))["failure reason"] == nil
		}
		check(t, "kept", served(kept), true)
		check(t, "dropped", served(dropped), false)
		if err := l.renew([]release.Digest{{3}}); err != nil {
			t.Errorf("no room after a lease ended: %v", err)
		}
		cancel()
		check(t, "run", <-ran, nil)
	})
}

func TestServerConfig(t *testing.T) {
	const file = "name: tracker-1\nlisten: 10.0.0.6:7404\ntls: off\ninsecure: true\nmax_neighbours: 12\nmin_interval: 3s\nmax_interval: 10m\n"
	cfg := DefaultServerConfig()
	if err := yaml.UnmarshalWithOptions([]byte(file), &cfg, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	want := ServerConfig{
		Name: "tracker-1", Listen: "10.0.0.6:7404", TLS: transport.TLS{Off: true}, Insecure: true,
		MaxNeighbours: 12, MinInterval: 3 * time.Second, MaxInterval: 10 * time.Minute,
	}
	check(t, "config", cfg, want)
	if err := cfg.Validate(); err != nil {
		t.Error(err)
	}
	for field, change := range map[string]func(*ServerConfig){
		"name: ":           func(c *ServerConfig) { c.Name = "a b" },
		"tls: ":            func(c *ServerConfig) { c.TLS.Off = false },
		"listen: ":         func(c *ServerConfig) { c.Insecure = false },
		"max_neighbours: ": func(c *ServerConfig) { c.MaxNeighbours = -1 },
	} {
		bad := want
		change(&bad)
		if _, err := NewServer(bad, nil); err == nil || !strings.HasPrefix(err.Error(), field) ||
			!errors.Is(err, release.ErrInvalid) && !errors.Is(err, transport.ErrInsecure) {
			t.Errorf("want an error of %s, got %v", field, err)
		}
	}
}
