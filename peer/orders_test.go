package peer

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"crow/internal/control"
	"crow/internal/gossip"
	"crow/internal/release"
	"crow/internal/transport"
)

func TestSeederIsKilledInMidFetch(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	d := newDoor(2 * chunk)
	r.gate = d.pass
	g := r.goods(big("orphan", 4))
	r.start()
	r.office.give(g.order("d-1", "web", "1"))
	<-d.reached
	r.office.kill()
	d.open()
	eventually(t, "it goes live without a seeder", func() bool { return r.current("web") == "1" })

	r.office.set(func() { clear(r.office.newest) })
	r.office.start(t) // it knows no host, and has forgotten all reports
	got := r.office.await(t, "d-1", release.Active)
	if got.Bytes.Seeder != g.manifest.Size || got.Unchanged {
		t.Errorf("the restarted seeder is told %+v", got)
	}
}

func TestReportsAgainInANewEpoch(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	g := r.goods("build")
	r.start()
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	for range 3 {
		r.office.kill()
		r.office.set(func() { clear(r.office.newest) })
		r.office.start(t)
		r.office.await(t, "d-1", release.Active)
	}
}

func TestForgottenHostSaysHelloAgain(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.timing.poll = time.Minute // only being refused can tell it
	g := r.goods("build")
	r.start()
	r.office.until(t, "poll", func() bool { return r.office.polls > 0 })
	r.office.set(func() { clear(r.office.hosts) })
	r.office.until(t, "second hello", func() bool { return r.office.hellos == 2 })
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
}

func TestTakenNameIsTriedAgain(t *testing.T) {
	r := newRig(t)
	core, logs := observer.New(zap.ErrorLevel)
	r.log = zap.New(core)
	r.office.taken = true
	r.start()
	r.office.until(t, "some hellos", func() bool { return r.office.hellos > 3 })
	r.office.set(func() { r.office.taken = false })
	r.office.until(t, "poll", func() bool { return r.office.polls > 0 })
	if n := logs.FilterMessageSnippet("another live host has this host's name").Len(); n == 0 {
		t.Error("no word of it in the log")
	}
}

// answering answers calls as a seeder would, without a network.
type answering func(*http.Request) *http.Response

func (f answering) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// TestTakenNameIsNoLouderWhenWoken wakes a poller whose name is taken, as every
// deploy does.
func TestTakenNameIsNoLouderWhenWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hellos atomic.Int32
		c, err := control.NewClient("http://127.0.0.1:7400", &http.Client{Transport: answering(func(*http.Request) *http.Response {
			hellos.Add(1)
			w := httptest.NewRecorder()
			fail(w, control.CodeTaken, "another live host has that name")
			return w.Result()
		})})
		if err != nil {
			t.Fatal(err)
		}
		p := &poller{host: "web-1", seeders: seeders{c}, timing: defaultTiming(), log: nopLog, updates: make(chan update, 10), woken: make(chan struct{}, 1), writing: make(chan struct{}, 1)}
		ctx, cancel := context.WithCancel(t.Context())
		go p.run(ctx)
		for range 3 {
			synctest.Wait()
			p.wake()
		}
		time.Sleep(p.timing.taken - 1)
		synctest.Wait()
		if n := hellos.Load(); n != 1 {
			t.Errorf("%d hellos before the pause is over, want 1", n)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if n := hellos.Load(); n != 2 {
			t.Errorf("%d hellos after the pause, want 2", n)
		}
		cancel()
	})
}

func TestSeedersAreTriedInTurn(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody is there
	second := newOffice(t)
	r.cfg.Seeders = []string{"http://" + l.Addr().String(), r.office.url(), second.url()}
	g := r.goods("build")
	second.stock(g)
	r.start()
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	r.office.kill()
	second.give(g.order("d-9", "web", "1"))
	if got := second.await(t, "d-9", release.Active); !got.Unchanged {
		t.Errorf("at the second seeder: %+v", got)
	}
}

func TestGossipWakesThePoller(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.office.kill()
	r.timing.retryMin, r.timing.retryMax = time.Hour, time.Hour // nothing but a wake-up ends such a pause
	a := r.start()
	fleet := r.join(a, gossip.RoleSeeder)
	r.office.start(t)
	// It may not yet have begun to wait when it is woken, so wake it until it comes.
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for tick := time.Tick(10 * time.Millisecond); ; {
			select {
			case <-tick:
				fleet.Wake()
			case <-stop:
				return
			}
		}
	}()
	r.office.until(t, "poll", func() bool { return r.office.polls > 0 })
}

func TestWokenPollThatHangsIsBegunAnew(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				close(accepted)
				return
			}
			accepted <- c
		}
	}()
	c, err := control.NewClient("http://"+l.Addr().String(), transport.Security{}.HTTPClient())
	if err != nil {
		t.Fatal(err)
	}
	p := &poller{host: "web-1", timing: quick(), log: nopLog, woken: make(chan struct{}, 1), writing: make(chan struct{}, 1)}
	ended := make(chan error)
	go func() {
		_, err := p.poll(t.Context(), c, "e", 1)
		ended <- err
	}()
	for range 3 {
		defer (<-accepted).Close()
		p.wake()
	}
	l.Close()
	for c := range accepted {
		c.Close()
	}
	p.wake()
	if err := <-ended; err == nil {
		t.Error("a poll without a server succeeded")
	}
}

// join adds a member to an agent's fleet.
func (r *rig) join(a *agentUnderTest, role string) *gossip.Gossip {
	r.t.Helper()
	g, err := gossip.New(gossip.Config{
		Name: "other", Listen: "127.0.0.1:0", Join: []string{a.GossipAddr().String()},
		Tags: gossip.Tags(role, 7777, nil), Log: nopLog,
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.run(g.Run)
	return g
}

func TestGossipHintsAtNeighbours(t *testing.T) {
	r := newRig(t)
	d := newDoor(chunk)
	r.gate = d.pass
	g := r.goods(big("slow", 2))
	a := r.start()
	r.join(a, gossip.RolePeer)
	r.office.give(g.order("d-1", "web", "1"))
	<-d.reached
	eventually(t, "the other member is a neighbour", func() bool { return len(a.copier.hintsFor(g.manifest.InfoHash)) > 0 })
	for _, addr := range a.copier.hintsFor(g.manifest.InfoHash) {
		if addr.String() != "127.0.0.1:7777" {
			t.Errorf("hint at %s", addr)
		}
	}
	d.open()
	r.office.await(t, "d-1", release.Active)
}

func TestSaneOrders(t *testing.T) {
	g := makeGoods(t, []byte("x"), release.FormatFile)
	ok := g.order("d-1", "web", "1")
	bad := func(spoil func(*control.Order)) control.Order {
		o := g.order("d-2", "db", "1")
		spoil(&o)
		return o
	}
	in := control.Orders{
		Epoch: "e", Revision: 7,
		Orders: []control.Order{
			bad(func(o *control.Order) { o.Manifest.App = "../x" }), bad(func(o *control.Order) { o.Manifest.Version = "current" }),
			bad(func(o *control.Order) { o.Deploy = "" }), bad(func(o *control.Order) { o.Deploy = "a/b" }),
			bad(func(o *control.Order) { o.Goal = "destroy" }), ok, bad(func(o *control.Order) { o.Manifest.App = "web" }),
		},
		Trackers: append([]string{"http://a/announce", ":", "x"}, slices.Repeat([]string{"http://b/"}, 20)...),
	}
	out := sane(in, nopLog)
	if len(out.Orders) != 1 || out.Orders[0].Deploy != "d-1" || out.Epoch != "e" || out.Revision != 7 {
		t.Errorf("orders: %+v", out)
	}
	if len(out.Trackers) != maxTrackers || out.Trackers[0] != "http://a/announce" || slices.Contains(out.Trackers, "x") {
		t.Errorf("trackers: %q", out.Trackers)
	}
}

func TestGossipKeysOfOrdersAreBounded(t *testing.T) {
	key := func(i int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{byte(i)}, 32)) }
	four := []string{key(1), key(2), key(3), key(4)}
	tests := []struct {
		name     string
		in, want []string
	}{
		{"none", nil, nil},
		{"one", four[:1], four[:1]},
		{"as many as there may be", four, four},
		{"one more", append(slices.Clone(four), key(5)), nil},
		{"any number of blanks", append(make([]string, 1000), four...), nil},
		{"a long blank", []string{strings.Repeat(" ", 1<<20) + key(1) + strings.Repeat("\n", 1<<20)}, four[:1]},
		{"many in one", []string{strings.Join(four, "\n"), key(5)}, nil},
		{"no key", []string{"key"}, nil},
	}
	for _, tt := range tests {
		if got := sane(control.Orders{GossipKeys: tt.in}, nopLog).GossipKeys; !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d keys, want %d", tt.name, len(got), len(tt.want))
		}
	}
}

func FuzzOrders(f *testing.F) {
	b, err := json.Marshal(control.Orders{Orders: []control.Order{makeGoods(f, []byte("x"), 0).order("d-1", "web", "1")}, Trackers: []string{"http://a/"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"orders":[{"deploy":"..","goal":"fetch"}]}`))
	f.Add([]byte(`{"orders":[],"gossip_keys":[""," ","MDEyMzQ1Njc4OWFiY2RlZg== "]}`))
	f.Add([]byte(`{"orders":[],"limits":{"upload":-1,"download":7}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o control.Orders
		if json.Unmarshal(b, &o) != nil {
			return
		}
		o = sane(o, nopLog)
		if o.Limits != nil && o.Limits.Validate() != nil {
			t.Errorf("limits: %+v", *o.Limits)
		}
		if len(o.Orders) > control.MaxApps || len(o.Trackers) > maxTrackers || len(strings.Join(o.GossipKeys, "")) > 200 {
			t.Error("too much of it")
		}
		for _, order := range o.Orders {
			for _, name := range []string{order.Deploy, order.Manifest.App, order.Manifest.Version} {
				if name == "" || strings.ContainsAny(name, "/\x00") || strings.HasPrefix(name, ".") {
					t.Errorf("%q could be a path", name)
				}
			}
			decide(order, record{})
		}
	})
}
