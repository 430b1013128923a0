package gossip

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// message is one of serf's, as it sends them.
func message(t testing.TB, kind byte, fields any) []byte {
	t.Helper()
	b := bytes.NewBuffer([]byte{kind})
	if err := codec.NewEncoder(b, &codec.MsgpackHandle{}).Encode(fields); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestSievePasses(t *testing.T) {
	s := newSieve(nil, zap.NewNop())
	wake := map[string]any{"LTime": 7, "Name": wakeEvent, "Payload": nil, "CC": true}
	for name, c := range map[string]struct {
		b    []byte
		want bool
	}{
		"a wake-up":             {message(t, serfEvent, wake), true},
		"an event of a name":    {message(t, serfEvent, map[string]any{"LTime": 7, "Name": "x"}), false},
		"one with a payload":    {message(t, serfEvent, map[string]any{"LTime": 7, "Name": wakeEvent, "Payload": []byte("x")}), false},
		"a join":                {message(t, serfJoin, map[string]any{"LTime": 7, "Node": "web-1"}), true},
		"a leave":               {message(t, serfLeave, map[string]any{"LTime": 7, "Node": "web-1", "Prune": false}), true},
		"a join of no name":     {message(t, serfJoin, map[string]any{"LTime": 7, "Node": strings.Repeat("x", 10_000)}), false},
		"a query":               {message(t, 4, map[string]any{"LTime": 7, "ID": 1, "Name": "x"}), false},
		"an answer":             {message(t, 5, map[string]any{"LTime": 7, "ID": 1}), false},
		"what is to be relayed": {message(t, 9, map[string]any{"DestName": "x"}), false},
		"an exchange":           {message(t, serfPushPull, exchange{}), false},
		"nothing":               {nil, false},
		"a type alone":          {[]byte{serfEvent}, false},
	} {
		if got := s.passes(c.b, time.Now()); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}

// However many wake-ups are forged, few are remembered and told again.
func TestSieveBoundsWakeUps(t *testing.T) {
	s := newSieve(nil, zap.NewNop())
	passed, now := 0, time.Now()
	for i := range 100_000 { // in ten seconds
		b := message(t, serfEvent, map[string]any{"LTime": i, "Name": wakeEvent})
		if s.passes(b, now.Add(time.Duration(i)*100*time.Microsecond)) {
			passed++
		}
	}
	if most := wakesBurst + int(10*time.Second/wakesEvery) + 1; passed > most || passed < most/2 {
		t.Errorf("%d passed, want at most %d", passed, most)
	}
}

func TestSieveSiftsExchanges(t *testing.T) {
	s := newSieve(nil, zap.NewNop())
	wake := userEvent{Name: wakeEvent}
	var many []userEvent
	for i := range 1000 {
		many = append(many, userEvent{Name: wakeEvent, Payload: fmt.Append(nil, i)})
	}
	sent := exchange{
		LTime: 5, EventLTime: 9, QueryLTime: 3, LeftMembers: []string{"web-2", "no name"}, StatusLTimes: map[string]uint64{"web-1": 4, "web-2": 5, "": 6},
		Events: []*userEvents{nil, {7, []userEvent{wake}}, {8, []userEvent{wake}}, {9, many}, {10, []userEvent{{Name: "x"}}}, {11, nil}},
	}
	clean, ok := s.sift(message(t, serfPushPull, sent))
	var got exchange
	if !ok || clean[0] != serfPushPull || decode(clean[1:], &got) != nil {
		t.Fatalf("%t, %x", ok, clean)
	}
	if len(got.Events) != 1 || got.Events[0].LTime != 8 || len(got.Events[0].Events) != 1 || !got.Events[0].Events[0].isWake() {
		t.Errorf("events are %+v", got.Events)
	}
	if got.LTime != 5 || got.EventLTime != 9 || got.QueryLTime != 3 || !slices.Equal(got.LeftMembers, []string{"web-2"}) || len(got.StatusLTimes) != 2 {
		t.Errorf("got %+v", got)
	}
	for _, bad := range [][]byte{nil, {serfPushPull}, {serfEvent}, message(t, serfEvent, sent)} {
		if _, ok := s.sift(bad); ok {
			t.Errorf("%x was let through", bad)
		}
	}
}

// Who has the key and says what crow does not is heard by nobody, and hinders nobody.
func TestForeignEventsAreDropped(t *testing.T) {
	t.Parallel()
	core, logs := observer.New(zap.WarnLevel)
	c := keyed(config(t, "seeder-1"), oldKey)
	c.Log = zap.New(core)
	seeder := run(t, c)
	c = keyed(config(t, "web-1", seeder.Gossip), oldKey)
	c.Log = zap.NewNop()
	liar := run(t, c)
	liar.sees(t, "seeder-1", Alive)
	seeder.sees(t, "web-1", Alive)
	for i := range 50 {
		if err := liar.serf.UserEvent("junk", fmt.Append(nil, i), false); err != nil {
			t.Fatal(err)
		}
	}
	answers, err := liar.serf.Query("junk", nil, &serf.QueryParam{RequestAck: true, FilterNodes: []string{"seeder-1"}, Timeout: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := liar.Wake(); err != nil {
		t.Fatal(err)
	}
	seeder.awaits(t, "a wake-up", isWoken)
	for who := range answers.AckCh() {
		t.Errorf("%s took the query", who)
	}
	if logs.FilterMessage("gossip that crow does not send was dropped").Len() == 0 {
		t.Errorf("the log does not tell: %v", logs.All())
	}
}

// Forged changes of members wake their reader no more often than real ones do.
func TestFloodOfChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gossip{log: zap.NewNop(), raw: make(chan serf.Event), events: make(chan Event, maxEvents)}
		stop := make(chan struct{})
		go g.readEvents(stop)
		n, done := 0, make(chan struct{})
		go func() {
			defer close(done)
			for range g.events {
				n++
			}
		}()
		m := serf.Member{Name: "seeder-1", Addr: []byte{10, 0, 0, 5}, Port: 7402}
		for range 10 * maxEvents {
			g.raw <- serf.MemberEvent{Type: serf.EventMemberUpdate, Members: []serf.Member{m}}
			<-time.After(time.Millisecond)
		}
		close(stop)
		<-done
		if most := maxEvents + int(10*maxEvents*time.Millisecond/changesEvery) + 1; n > most || n < maxEvents {
			t.Errorf("%d changes passed on, want at most %d", n, most)
		}
	})
}

// told is where a sieve's messages end.
type told struct {
	memberlist.Delegate
}

func (told) NotifyMsg([]byte)              {}
func (told) MergeRemoteState([]byte, bool) {}

func FuzzSieve(f *testing.F) {
	f.Add(message(f, serfEvent, userEvent{Name: wakeEvent}))
	f.Add(message(f, serfPushPull, exchange{StatusLTimes: map[string]uint64{"a": 1}, Events: []*userEvents{{1, []userEvent{{Name: wakeEvent}}}}}))
	f.Add([]byte{serfJoin, 0x81})
	s := newSieve(told{}, zap.NewNop())
	f.Fuzz(func(t *testing.T, b []byte) {
		s.NotifyMsg(b)
		clean, ok := s.sift(b)
		if again, twice := s.sift(clean); ok && (!twice || len(again) > len(clean)) {
			t.Errorf("what was sifted is not clean: %x", clean)
		}
		s.MergeRemoteState(b, true)
	})
}
