package gossip

import (
	"net"
	"testing"
	"time"

	"github.com/hashicorp/serf/serf"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// Two hosts with one name: the first keeps it, the second says so and goes on,
// neither ends the other, and the second gets the name when the first leaves.
func TestNameConflict(t *testing.T) {
	t.Parallel()
	seeder := run(t, config(t, "seeder-1"))
	first := run(t, config(t, "web-1", seeder.Gossip))
	seeder.sees(t, "web-1", Alive)

	core, logs := observer.New(zapcore.ErrorLevel)
	c := config(t, "web-1", seeder.Gossip)
	c.Log = zap.New(core)
	second := run(t, c)
	third := run(t, c)
	poll(t, "the second says so", func() bool { return logs.Len() > 0 })
	second.sees(t, "seeder-1", Alive)
	third.sees(t, "seeder-1", Alive)
	if entry := logs.All()[0]; entry.ContextMap()["host"] != "web-1" || entry.ContextMap()["other"] != first.Addr().String() {
		t.Errorf("log says %v %v", entry.Message, entry.ContextMap())
	}
	third.stop() // its goodbye must not pass for the first's
	if m := seeder.sees(t, "web-1", Alive); m.Addr != first.Addr() {
		t.Errorf("the seeder sees web-1 at %v, want the first, %v", m.Addr, first.Addr())
	}
	first.crash(t)
	poll(t, "the second takes the name", func() bool {
		return seeder.sees(t, "web-1", Alive).Addr == second.Addr()
	})
	for len(seeder.Events()) > 0 {
		if e := <-seeder.Events(); e.Kind == Gone && e.Member.State == Left {
			t.Errorf("the seeder saw %v leave at %v", e.Member.Name, e.Member.Addr)
		}
	}
}

func TestGuardRefusesMalformedMembers(t *testing.T) {
	addr := net.IPv4(10, 0, 0, 1)
	big := map[string]string{"k": string(make([]byte, 2000))}
	tests := map[string]struct {
		member serf.Member
		ok     bool
	}{
		"good":           {serf.Member{Name: "web-1", Addr: addr, Port: 7402}, true},
		"IPv6":           {serf.Member{Name: "web-1", Addr: net.ParseIP("2001:db8::1"), Port: 7402}, true},
		"no name":        {serf.Member{Addr: addr, Port: 7402}, false},
		"path as name":   {serf.Member{Name: "../etc", Addr: addr, Port: 7402}, false},
		"escape in name": {serf.Member{Name: "a\x1b[2J", Addr: addr, Port: 7402}, false},
		"no address":     {serf.Member{Name: "web-1", Port: 7402}, false},
		"short address":  {serf.Member{Name: "web-1", Addr: net.IP{1, 2}, Port: 7402}, false},
		"unspecified":    {serf.Member{Name: "web-1", Addr: net.IPv4zero, Port: 7402}, false},
		"multicast":      {serf.Member{Name: "web-1", Addr: net.IPv4(224, 0, 0, 1), Port: 7402}, false},
		"no port":        {serf.Member{Name: "web-1", Addr: addr}, false},
		"too many tags":  {serf.Member{Name: "web-1", Addr: addr, Port: 7402, Tags: big}, false},
	}
	g := newGuard("seeder-1", mustAddr("10.0.0.5:7402"), zap.NewNop())
	for name, test := range tests {
		if err := g.NotifyMerge([]*serf.Member{&test.member}); (err == nil) != test.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConflictAges(t *testing.T) {
	core, logs := observer.New(zapcore.ErrorLevel)
	g := newGuard("web-1", mustAddr("10.0.0.5:7402"), zap.New(core))
	now := time.Now()
	g.checkConflict(Member{Name: "web-1", Addr: mustAddr("10.0.0.5:7402")}, now)
	if g.inConflict(now) {
		t.Error("this member itself counts as a conflict")
	}
	for i := range 100 { // over 49.5 s
		g.checkConflict(Member{Name: "web-1", Addr: mustAddr("10.0.0.6:7402")}, now.Add(time.Duration(i)*time.Second/2))
	}
	last := now.Add(99 * time.Second / 2)
	if !g.inConflict(last) || g.inConflict(last.Add(conflictAge)) {
		t.Error("the conflict does not age as it should")
	}
	if logs.Len() != 1 {
		t.Errorf("%d lines were logged, want 1", logs.Len())
	}
}
