package gossip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"crow/internal/release"
)

func TestMembersSeeEachOther(t *testing.T) {
	t.Parallel()
	c := config(t, "seeder-1")
	c.Tags = Tags(RoleSeeder, 7401, nil)
	seeder := run(t, c)
	c = config(t, "web-1", seeder.Gossip)
	c.Tags = Tags(RolePeer, 7501, release.Labels{"zone": "a"})
	web1 := run(t, c)
	web2 := run(t, config(t, "web-2", seeder.Gossip))
	seeder.awaits(t, "web-1 joining", func(e Event) bool { return e.Kind == Joined && e.Member.Name == "web-1" })

	m := web2.sees(t, "web-1", Alive) // through the seeder
	if m.Addr != web1.Addr() || m.Role() != RolePeer || m.Tags[LabelPrefix+"zone"] != "a" {
		t.Errorf("web-2 sees %+v", m)
	}
	if addr, ok := m.SwarmAddr(); !ok || addr.Port() != 7501 || addr.Addr() != web1.Addr().Addr() {
		t.Errorf("SwarmAddr = %v, %v", addr, ok)
	}
	web2.sees(t, "seeder-1", Alive)
	var names []string
	for _, m := range web2.Members() {
		names = append(names, m.Name)
	}
	if want := []string{"seeder-1", "web-1", "web-2"}; !slices.Equal(names, want) {
		t.Errorf("members are %v, want %v", names, want)
	}
}

func TestLeaveIsSeenAndBounded(t *testing.T) {
	t.Parallel()
	seeder := run(t, config(t, "seeder-1"))
	web := run(t, config(t, "web-1", seeder.Gossip))
	other := run(t, config(t, "web-2", seeder.Gossip))
	other.sees(t, "web-1", Alive)
	web.sees(t, "web-2", Alive)

	start := time.Now()
	web.stop()
	if took := time.Since(start); took > 2500*time.Millisecond {
		t.Errorf("leaving took %v", took)
	}
	isLeft := func(e Event) bool { return e.Kind == Gone && e.Member.Name == "web-1" && e.Member.State == Left }
	seeder.awaits(t, "web-1 leaving", isLeft)
	other.awaits(t, "web-1 leaving", isLeft)
	if err := web.Wake(); !errors.Is(err, ErrEnded) {
		t.Errorf("Wake after Run: %v, want ErrEnded", err)
	}
}

func TestCrashIsSeenAndReturn(t *testing.T) {
	t.Parallel()
	seeder := run(t, config(t, "seeder-1"))
	web := run(t, config(t, "web-1", seeder.Gossip))
	run(t, config(t, "web-2", seeder.Gossip)).sees(t, "web-1", Alive)
	start := time.Now()
	web.crash(t)
	seeder.awaits(t, "web-1 failing", func(e Event) bool { return e.Kind == Gone && e.Member.State == Failed })
	t.Logf("seen as failed after %v", time.Since(start))

	c := config(t, "web-1", seeder.Gossip)
	c.Listen = web.Addr().String()
	c.Tags = Tags(RolePeer, 1, nil)
	run(t, c)
	if m := seeder.sees(t, "web-1", Alive); m.Role() != RolePeer {
		t.Errorf("the seeder sees the old tags: %v", m.Tags)
	}
}

// A host that was killed may come back under another address, and gets its
// name back once the old one has failed.
func TestReturnUnderAnotherAddress(t *testing.T) {
	t.Parallel()
	seeder := run(t, config(t, "seeder-1"))
	old := run(t, config(t, "web-1", seeder.Gossip))
	seeder.sees(t, "web-1", Alive)
	old.crash(t)
	again := run(t, config(t, "web-1", seeder.Gossip))
	poll(t, "the seeder sees web-1's new address", func() bool {
		return seeder.sees(t, "web-1", Alive).Addr == again.Addr()
	})
}

func TestJoinWaitsForTheSeeder(t *testing.T) {
	t.Parallel()
	seeder := create(t, config(t, "seeder-1")) // to have a port
	if err := seeder.Close(); err != nil {
		t.Fatal(err)
	}
	web := run(t, config(t, "web-1", seeder))
	c := config(t, "seeder-1")
	c.Listen = seeder.Addr().String()
	run(t, c).sees(t, "web-1", Alive)
	web.sees(t, "seeder-1", Alive)
}

// A restarted seeder joins nobody: its fleet finds it, whether it was back
// before anybody noticed or not.
func TestRestartedSeederIsFound(t *testing.T) {
	for _, noticed := range []bool{false, true} {
		t.Run(fmt.Sprintf("noticed=%v", noticed), func(t *testing.T) {
			t.Parallel()
			seeder := run(t, config(t, "seeder-1"))
			web1 := run(t, config(t, "web-1", seeder.Gossip))
			web2 := run(t, config(t, "web-2", seeder.Gossip))
			web2.sees(t, "web-1", Alive)
			seeder.crash(t)
			if noticed {
				web1.sees(t, "seeder-1", Failed)
			}
			c := config(t, "seeder-1")
			c.Listen = seeder.Addr().String()
			seeder = run(t, c)
			start := time.Now()
			seeder.sees(t, "web-1", Alive)
			seeder.sees(t, "web-2", Alive)
			t.Logf("found again after %v", time.Since(start))
			if err := seeder.Wake(); err != nil {
				t.Fatal(err)
			}
			web1.awaits(t, "wake-up", isWoken)
			web2.awaits(t, "wake-up", isWoken)
		})
	}
}

func TestWakeReachesAllAndIsCoalesced(t *testing.T) {
	t.Parallel()
	seeder := run(t, config(t, "seeder-1"))
	web := run(t, config(t, "web-1", seeder.Gossip))
	seeder.sees(t, "web-1", Alive)
	const burst = 500
	for range burst {
		if err := seeder.Wake(); err != nil {
			t.Fatal(err)
		}
	}
	web.awaits(t, "wake-up", isWoken)
	// Leaving is news behind all wake-ups.
	seeder.stop()
	woken := 1
	web.awaits(t, "seeder leaving", func(e Event) bool {
		if isWoken(e) {
			woken++
		}
		return e.Kind == Gone
	})
	if woken > 5 {
		t.Errorf("%d calls became %d events, want a few", burst, woken)
	}
}

func TestKeyKeepsOthersOut(t *testing.T) {
	t.Parallel()
	c := config(t, "seeder-1")
	c.Keys = [][]byte{oldKey}
	seeder := run(t, c)
	strangers := []Config{config(t, "plain", seeder.Gossip), config(t, "other", seeder.Gossip)}
	strangers[1].Keys = [][]byte{newKey}
	for _, s := range strangers {
		run(t, s)
	}
	c = config(t, "web-1", seeder.Gossip)
	c.Keys = [][]byte{oldKey}
	run(t, c)
	seeder.sees(t, "web-1", Alive)
	for _, m := range seeder.Members() {
		if m.Name == "plain" || m.Name == "other" {
			t.Errorf("%s joined without the key", m.Name)
		}
	}
}

// A seeder that takes the connection and then says nothing must not hold up
// the end.
func TestStopDuringJoin(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test ends
	c := config(t, "web-1")
	c.Join = []string{l.Addr().String()}
	web := run(t, c)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the test ends
	start := time.Now()
	web.stop()
	if took := time.Since(start); took > time.Second {
		t.Errorf("the end took %v", took)
	}
}

func TestRunOnce(t *testing.T) {
	g := create(t, config(t, "web-1"))
	if err := errors.Join(g.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	if err := g.Run(context.Background()); err == nil {
		t.Error("Run after Close returned no error")
	}
	if _, open := <-g.Events(); open {
		t.Error("Events is open after Close")
	}
}

// Members cost next to nothing while nothing happens.
func TestIdleCPU(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds")
	}
	const members, limit = 20, 0.01
	seeder := run(t, config(t, "seeder-1"))
	all := []*member{seeder}
	for i := range members - 1 {
		all = append(all, run(t, config(t, fmt.Sprintf("web-%d", i), seeder.Gossip)))
	}
	for _, m := range all {
		poll(t, "all see all", func() bool { return m.others() == members-1 })
	}
	var share float64
	poll(t, "a quiet fleet", func() bool { // the first seconds are busy
		start, before := time.Now(), cpuTime(t)
		<-time.After(3 * time.Second) // the thing to be measured
		share = float64(cpuTime(t)-before) / float64(time.Since(start)) / members
		return share < limit
	})
	t.Logf("%.3f %% of a core for each member", 100*share)
	var leaving sync.WaitGroup // each takes a second
	for _, m := range all {
		leaving.Go(m.stop)
	}
	leaving.Wait()
}

func cpuTime(t *testing.T) time.Duration {
	t.Helper()
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		t.Fatal(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
