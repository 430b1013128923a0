package tracker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anacrolix/torrent/bencode"
	client "github.com/anacrolix/torrent/tracker"
	hashes "github.com/anacrolix/torrent/types/infohash"
	"go.uber.org/goleak"

	"crow/internal/release"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var torrent = release.Digest{1, 2, 3, 0xff}

// newTracker serves torrent.
func newTracker(t testing.TB, change func(*Config)) *Tracker {
	t.Helper()
	cfg := DefaultConfig()
	cfg.Seed = 1
	if change != nil {
		change(&cfg)
	}
	tr, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	tr.Register(torrent)
	return tr
}

// ask sends one request to the handler, without a network, and decodes the
// answer.
func ask(t testing.TB, tr *Tracker, path string, pairs ...string) map[string]any {
	t.Helper()
	hash := torrent.Short()
	q := url.Values{"info_hash": {string(hash[:])}, "peer_id": {testID}, "port": {"7401"}, "left": {"10"}}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, path+"?"+q.Encode(), nil)
	r.RemoteAddr = "10.0.0.99:5555"
	tr.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	var answer map[string]any
	if err := bencode.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	return answer
}

// id pads a peer's name to a peer id.
func id(name string) string { return fmt.Sprintf("%-20s", name) }

func membersOf(tr *Tracker) int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.total.sum()
}

func check(t *testing.T, what string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

// The library's own client, over TCP, is understood and understands.
func TestRealClient(t *testing.T) {
	tr := newTracker(t, nil)
	server := httptest.NewServer(tr.Handler())
	defer server.Close()
	c, err := client.NewClient(server.URL+PathAnnounce, client.NewClientOpts{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(name byte, port uint16, left int64, event client.AnnounceEvent, opt client.AnnounceOpt) client.AnnounceResponse {
		t.Helper()
		req := client.AnnounceRequest{InfoHash: torrent.Short(), PeerId: [20]byte{name}, Port: port, Left: left, Event: event}
		res, err := c.Announce(context.Background(), req, opt)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	ports := func(r client.AnnounceResponse) []int {
		var list []int
		for _, p := range r.Peers {
			list = append(list, p.Port)
		}
		slices.Sort(list)
		return list
	}
	six := client.AnnounceOpt{ClientIp6: net.ParseIP("2001:db8::6")}

	check(t, "the first gets", len(say(1, 1001, 0, client.Started, client.AnnounceOpt{}).Peers), 0)
	second := say(2, 1002, -1, client.Started, six)
	check(t, "the second's port", fmt.Sprint(ports(second)), "[1001]")
	check(t, "the second's seeds", second.Seeders, int32(1))
	check(t, "the second's interval", second.Interval, int32(2))
	third := say(3, 1003, 10, client.None, client.AnnounceOpt{})
	check(t, "the third's ports", fmt.Sprint(ports(third)), "[1001 1002]")
	i := slices.IndexFunc(third.Peers, func(p client.Peer) bool { return p.Port == 1002 })
	check(t, "the second's address", third.Peers[i].IP.String(), "2001:db8::6")

	say(3, 1003, 0, client.Completed, client.AnnounceOpt{})
	say(3, 1003, 0, client.Completed, client.AnnounceOpt{})
	counts, err := c.Scrape(context.Background(), []hashes.T{torrent.Short(), {9}})
	if err != nil {
		t.Fatal(err)
	}
	check(t, "scrape", fmt.Sprintf("%+v", counts), "[{Seeders:2 Completed:1 Leechers:1} {Seeders:0 Completed:0 Leechers:0}]")
	say(1, 1001, 0, client.Stopped, client.AnnounceOpt{})
	check(t, "after one stopped", fmt.Sprint(ports(say(2, 1002, 5, client.None, six))), "[1003]")

	_, err = c.Announce(context.Background(), client.AnnounceRequest{InfoHash: [20]byte{9}, Port: 1}, client.AnnounceOpt{})
	if err == nil || !strings.Contains(err.Error(), string(failUnregistered)) {
		t.Errorf("an unknown torrent: got %v", err)
	}
}

// The answers, byte for byte.
func TestAnswersOnTheWire(t *testing.T) {
	tr := newTracker(t, func(c *Config) { c.MaxNeighbours = 1 })
	server := httptest.NewServer(tr.Handler())
	defer server.Close()
	ask(t, tr, PathAnnounce, "peer_id", id("four"), "ip", "10.0.0.1", "port", "258")
	hash := torrent.Short()
	with := func(pairs ...string) string {
		pairs = append([]string{"info_hash", string(hash[:]), "peer_id", id("asker")}, pairs...)
		return "?" + query(pairs...)
	}
	scraped := "d5:filesd20:" + string(hash[:]) + "d8:completei0e10:downloadedi0e10:incompletei2eeee"
	for _, test := range []struct{ name, path, want string }{
		{"compact", PathAnnounce + with(), "d8:completei0e10:incompletei2e8:intervali2e5:peers6:\x0a\x00\x00\x01\x01\x02e"},
		{"list", PathAnnounce + with("compact", "0"),
			"d8:completei0e10:incompletei2e8:intervali2e5:peersld2:ip8:10.0.0.17:peer id20:four                4:porti258eeee"},
		{"list without ids", PathAnnounce + with("compact", "0", "no_peer_id", "1"),
			"d8:completei0e10:incompletei2e8:intervali2e5:peersld2:ip8:10.0.0.14:porti258eeee"},
		{"none", PathAnnounce + with("numwant", "0"), "d8:completei0e10:incompletei2e8:intervali2e5:peers0:e"},
		{"scrape", PathScrape + with(), scraped},
		{"refusal", PathAnnounce, "d14:failure reason24:info_hash: want 20 bytese"},
		{"refused scrape", PathScrape, "d14:failure reason42:info_hash: a scrape must name its torrentse"},
	} {
		res, err := http.Get(server.URL + test.path)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || string(b) != test.want {
			t.Errorf("%s: got %d %q, %v\nwant %q", test.name, res.StatusCode, b, err, test.want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestCompactPeersByFamily(t *testing.T) {
	peers, peers6 := compactPeers([]member{
		{addr: netip.MustParseAddrPort("[2001:db8::1]:80")}, {addr: netip.MustParseAddrPort("10.0.0.1:80")},
	})
	check(t, "peers", string(peers), "\x0a\x00\x00\x01\x00\x50")
	check(t, "peers6", string(peers6), "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x50")
}

func TestNumWantIsHonouredAndCapped(t *testing.T) {
	tr := newTracker(t, nil)
	for i := range 100 {
		ask(t, tr, PathAnnounce, "peer_id", id(fmt.Sprint(i)), "ip", addrOf(i).Addr().String())
	}
	for numwant, want := range map[string]int{"": 30, "-1": 30, "0": 0, "5": 5, "50": 30, "2000000000": 30} {
		got := ask(t, tr, PathAnnounce, "peer_id", id("asker"), "numwant", numwant)["peers"].(string)
		check(t, "numwant "+numwant, len(got)/6, want)
	}
}

func TestStoppedLeavesTheSuccessorAlone(t *testing.T) {
	tr := newTracker(t, nil)
	incomplete := func(a map[string]any) any { return a["incomplete"] }
	check(t, "old", incomplete(ask(t, tr, PathAnnounce, "peer_id", id("old"))), int64(1))
	check(t, "new at the same address", incomplete(ask(t, tr, PathAnnounce, "peer_id", id("new"))), int64(1))
	check(t, "old stops", incomplete(ask(t, tr, PathAnnounce, "peer_id", id("old"), "event", "stopped")), int64(1))
	check(t, "new stops", incomplete(ask(t, tr, PathAnnounce, "peer_id", id("new"), "event", "stopped")), int64(0))
	check(t, "stranger stops", incomplete(ask(t, tr, PathAnnounce, "peer_id", id("x"), "event", "stopped")), int64(0))
}

func TestUnregisterForgetsTheSwarm(t *testing.T) {
	tr := newTracker(t, nil)
	ask(t, tr, PathAnnounce)
	tr.Register(torrent)
	check(t, "registered again", ask(t, tr, PathAnnounce, "numwant", "0")["incomplete"], any(int64(1)))
	tr.Unregister(torrent)
	tr.Unregister(torrent)
	check(t, "refusal", ask(t, tr, PathAnnounce)["failure reason"], any(string(failUnregistered)))
	check(t, "members", membersOf(tr), 0)
	tr.Register(torrent)
	check(t, "a new swarm", ask(t, tr, PathAnnounce)["incomplete"], any(int64(1)))
}

func TestTrackerIsBounded(t *testing.T) {
	other := release.Digest{9}
	otherHash := other.Short()
	tr := newTracker(t, nil)
	tr.Register(other)
	tr.limits = limits{swarm: 2, total: 3}
	reason := func(pairs ...string) any { return ask(t, tr, PathAnnounce, pairs...)["failure reason"] }
	check(t, "first", reason("ip", "10.0.0.1"), nil)
	check(t, "second and third", reason("ip", "10.0.0.2", "ipv6", "2001:db8::1"), any(string(failFull)))
	check(t, "second", reason("ip", "10.0.0.2"), nil)
	check(t, "third", reason("ip", "10.0.0.3"), any(string(failFull)))
	check(t, "the second again", reason("ip", "10.0.0.2", "left", "0"), nil)
	check(t, "other swarm", reason("info_hash", string(otherHash[:]), "ip", "10.0.0.1"), nil)
	check(t, "over the total", reason("info_hash", string(otherHash[:]), "ip", "10.0.0.2"), any(string(failFull)))
	check(t, "one leaves", reason("ip", "10.0.0.1", "event", "stopped"), nil)
	check(t, "room again", reason("info_hash", string(otherHash[:]), "ip", "10.0.0.2"), nil)
}

func TestSilentHostsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := newTracker(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		ran := make(chan error, 1)
		go func() { ran <- tr.Run(ctx) }()
		ask(t, tr, PathAnnounce, "ip", "10.0.0.1")
		ask(t, tr, PathAnnounce, "ip", "10.0.0.2")
		time.Sleep(minLife - time.Second) // of the bubble's clock
		synctest.Wait()
		check(t, "still listed", ask(t, tr, PathAnnounce, "ip", "10.0.0.2")["incomplete"], any(int64(2)))
		time.Sleep(sweepEvery + time.Second)
		synctest.Wait()
		check(t, "one fell silent", membersOf(tr), 1)
		time.Sleep(minLife + sweepEvery)
		synctest.Wait()
		check(t, "both fell silent", membersOf(tr), 0)
		cancel()
		check(t, "run", <-ran, nil)
	})
}

func TestConfigValidate(t *testing.T) {
	for _, test := range []struct {
		change func(*Config)
		field  string
	}{
		{func(c *Config) { c.MaxNeighbours = 0 }, "max_neighbours: "},
		{func(c *Config) { c.MaxNeighbours = 201 }, "max_neighbours: "},
		{func(c *Config) { c.MinInterval = time.Millisecond }, "min_interval: "},
		{func(c *Config) { c.MaxInterval = time.Second }, "max_interval: "},
	} {
		cfg := DefaultConfig()
		test.change(&cfg)
		if _, err := New(cfg); !errors.Is(err, release.ErrInvalid) || !strings.HasPrefix(err.Error(), test.field) {
			t.Errorf("want an error of %s, got %v", test.field, err)
		}
	}
}

func BenchmarkAnnounce(b *testing.B) {
	tr := newTracker(b, nil)
	for i := range 1000 {
		ask(b, tr, PathAnnounce, "peer_id", id(fmt.Sprint(i)), "ip", addrOf(i).Addr().String())
	}
	hash := torrent.Short()
	r := httptest.NewRequest(http.MethodGet, PathAnnounce+"?"+query("info_hash", string(hash[:])), nil)
	h := tr.Handler()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
}
