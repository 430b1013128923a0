package gossip

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-msgpack/v2/codec"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"crow/internal/release"
)

func TestJoinDue(t *testing.T) {
	tests := map[string]struct {
		s    standing
		dice float64
		want bool
	}{
		"alone":                         {standing{}, 0.99, true},
		"seed alive":                    {standing{others: 10, seedAlive: true}, 0.5, false},
		"seed alive, one's turn":        {standing{others: 10, seedAlive: true}, 0.05, true},
		"seed lost":                     {standing{others: 10, sinceJoin: rejoinGap}, 0.99, true},
		"seed is no member, just tried": {standing{others: 10, sinceJoin: time.Second}, 0, false},
		"name conflict":                 {standing{others: 10, seedAlive: true, conflict: true}, 0.99, true},
	}
	for name, test := range tests {
		if got := joinDue(test.s, test.dice); got != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

func TestFitTags(t *testing.T) {
	long := strings.Repeat("x", 300)
	kept, dropped, err := fitTags(Tags(RolePeer, 7401, release.Labels{"a": long, "b": long, "zone": "z"}))
	if err != nil || !slices.Equal(dropped, []string{"b"}) {
		t.Fatalf("dropped %v, %v, want b", dropped, err)
	}
	if want := []string{"l.a", "l.zone", "role", "swarm"}; !slices.Equal(slices.Sorted(maps.Keys(kept)), want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
}

// What fitTags keeps always fits as serf encodes it, and is never taken for
// too much by another member; what it drops would not have fitted by far.
func TestFitTagsFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		labels := rapid.MapOfN(rapid.StringN(0, 20, 40), rapid.StringN(0, 60, 200), 0, 40).Draw(t, "labels")
		kept, dropped, err := fitTags(Tags(RoleSeeder, 65535, labels))
		if err != nil {
			t.Fatal(err)
		}
		if n := serfLen(kept); n > memberlist.MetaMaxSize {
			t.Fatalf("%d bytes", n)
		}
		if encodedLen(kept) > looseTagsLen || len(kept)+len(dropped) != len(labels)+2 {
			t.Fatalf("kept %v, dropped %v", kept, dropped)
		}
	})
}

// Whatever fits by serf's encoding is accepted from another member.
func TestLooseTagsLen(t *testing.T) {
	tags := map[string]string{}
	for i := 0; ; i++ {
		tags[fmt.Sprintf("%c%c", 'a'+i/26, 'a'+i%26)] = ""
		if serfLen(tags) > memberlist.MetaMaxSize {
			return
		}
		if n := encodedLen(tags); n > looseTagsLen {
			t.Fatalf("%d tags: %d bytes", len(tags), n)
		}
	}
}

// serfLen encodes as serf.encodeTags does.
func serfLen(tags map[string]string) int {
	b := bytes.NewBuffer([]byte{255})
	if err := codec.NewEncoder(b, &codec.MsgpackHandle{}).Encode(tags); err != nil {
		panic(err)
	}
	return b.Len()
}

func TestUntrustedTags(t *testing.T) {
	m := Member{Addr: mustAddr("10.0.0.1:7402"), Tags: map[string]string{}}
	for _, port := range []string{"", "0", "-1", "65536", "x", "7401 "} {
		m.Tags[TagSwarm] = port
		if addr, ok := m.SwarmAddr(); ok {
			t.Errorf("port %q gives %v", port, addr)
		}
	}
}

func TestParseLine(t *testing.T) {
	tests := map[string]struct {
		serious bool
		text    string
	}{
		"[DEBUG] memberlist: Stream connection\n": {false, "memberlist: Stream connection"},
		"[INFO] serf: EventMemberJoin: a\n":       {false, "serf: EventMemberJoin: a"},
		"[WARN] serf: x":                          {true, "serf: x"},
		"[ERR] memberlist: y\n":                   {true, "memberlist: y"},
		"Err: Could not set the deadline":         {true, "Err: Could not set the deadline"},
		"":                                        {true, ""},
	}
	for line, want := range tests {
		if serious, text := parseLine([]byte(line)); serious != want.serious || text != want.text {
			t.Errorf("%q gives %v, %q", line, serious, text)
		}
	}
}

func TestLogIsQuiet(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	leaving := new(atomic.Bool)
	w := newLogWriter(zap.New(core), leaving)
	for i := range 100 {
		fmt.Fprintf(w, "[ERR] memberlist: noise %d\n", i) //nolint:errcheck // it never fails
		fmt.Fprintf(w, "[INFO] serf: news %d\n", i)       //nolint:errcheck // as above
	}
	if logs.Len() != maxRepeats {
		t.Errorf("%d lines at info level, want %d", logs.Len(), maxRepeats)
	}
}

// Those who have another key share one message, which is not that of other
// trouble.
func TestStrangersDoNotHideTrouble(t *testing.T) {
	core, logs := observer.New(zapcore.InfoLevel)
	w := newLogWriter(zap.New(core), new(atomic.Bool))
	for i := range 100 {
		for _, line := range []string{
			"[ERR] memberlist: Decrypt packet failed: no installed keys could decrypt the message from=10.0.0.%d:1\n",
			"[ERR] memberlist: failed to receive: encryption is configured but remote state is not encrypted from=10.0.0.%d:1\n",
			"[ERR] memberlist: failed to receive: remote state is encrypted and encryption is not configured from=10.0.0.%d:1\n",
		} {
			fmt.Fprintf(w, line, i) //nolint:errcheck // it never fails
		}
	}
	if logs.Len() != maxRepeats {
		t.Errorf("%d lines about strangers, want %d", logs.Len(), maxRepeats)
	}
	fmt.Fprintln(w, "[WARN] serf: something else") //nolint:errcheck // it never fails
	if logs.Len() != maxRepeats+1 {
		t.Error("strangers hide other trouble")
	}
}

// A slow reader loses the oldest events, and nobody waits for it.
func TestEventsDropOldest(t *testing.T) {
	g := &Gossip{events: make(chan Event, maxEvents)}
	for i := range maxEvents + 10 {
		g.emit(Event{Member: Member{Name: fmt.Sprint(i)}})
	}
	if first := <-g.events; first.Member.Name != "10" {
		t.Errorf("the oldest event is %s, want 10", first.Member.Name)
	}
}

// A flood of wake-ups passes on the first at once and the last in the end.
func TestFloodOfWakeUps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &Gossip{log: zap.NewNop(), raw: make(chan serf.Event), events: make(chan Event, maxEvents)}
		stop := make(chan struct{})
		go g.readEvents(stop)
		start := time.Now()
		g.raw <- serf.UserEvent{Name: "something else"}
		for range 1000 { // for one second
			g.raw <- serf.UserEvent{Name: wakeEvent}
			synctest.Wait()
			if time.Since(start) == 0 && len(g.events) != 1 {
				t.Errorf("the first wake-up was held back")
			}
			<-time.After(time.Millisecond)
		}
		<-time.After(2 * wakeGap)
		close(stop)
		n := 0
		for range g.events {
			n++
		}
		if most := int(time.Second/wakeGap) + 1; n < most-1 || n > most {
			t.Errorf("%d events, want about %d", n, most)
		}
	})
}

func FuzzParseLine(f *testing.F) {
	f.Add([]byte("[INFO] serf: x"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if _, text := parseLine(line); len(text) > len(line) {
			t.Fatalf("%q became %q", line, text)
		}
	})
}

func FuzzToMember(f *testing.F) {
	f.Add("web-1", []byte{10, 0, 0, 1}, uint16(7402), "swarm", "7401", 1)
	f.Fuzz(func(t *testing.T, name string, ip []byte, port uint16, key, value string, status int) {
		m, err := toMember(serf.Member{Name: name, Addr: ip, Port: port, Tags: map[string]string{key: value}, Status: serf.MemberStatus(status)})
		if err != nil {
			return
		}
		if release.ValidateHost(m.Name) != nil || !m.Addr.IsValid() || m.State > Left {
			t.Fatalf("accepted %+v", m)
		}
		if addr, ok := m.SwarmAddr(); ok && !addr.IsValid() {
			t.Fatalf("swarm address %v of %+v", addr, m)
		}
	})
}
