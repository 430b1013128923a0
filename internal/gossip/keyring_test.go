package gossip

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"crow/internal/release"
)

var (
	oldKey   = []byte("0123456789abcdef")
	newKey   = []byte("fedcba9876543210fedcba9876543210")
	otherKey = []byte("another key of 24 bytes.")
)

func keyed(c Config, keys ...[]byte) Config {
	c.Keys = keys
	return c
}

// answers reports whether to understands a packet of from's, and from the
// answer.
func (m *member) answers(to *member) bool {
	_, err := m.serf.Memberlist().Ping(to.config.Name, net.UDPAddrFromAddrPort(to.Addr()))
	return err == nil
}

// exchanges is answers for a stream.
func (m *member) exchanges(to *member) bool {
	return m.join([]netip.AddrPort{to.Addr()}, true) == nil
}

func allUnderstandAll(t *testing.T, step string, all []*member) {
	t.Helper()
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			// A packet may be lost even on loopback, where the machine is busy.
			poll(t, step+": "+from.config.Name+" and "+to.config.Name+" exchange packets", func() bool { return from.answers(to) })
			if !from.exchanges(to) {
				t.Errorf("%s: %s could not exchange its list with %s", step, from.config.Name, to.config.Name)
			}
		}
	}
}

// losses are the members that m has seen go.
func (m *member) losses() (names []string) {
	for len(m.Events()) > 0 {
		if e := <-m.Events(); e.Kind == Gone {
			names = append(names, e.Member.Name)
		}
	}
	return names
}

// Keys change one member after the other, and there is no mixture on the way in
// which two don't understand each other.
func TestKeysRotate(t *testing.T) {
	t.Parallel()
	seeder := run(t, keyed(config(t, "seeder-1"), oldKey))
	all := []*member{seeder}
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		all = append(all, run(t, keyed(config(t, name, seeder.Gossip), oldKey)))
	}
	for _, m := range all {
		poll(t, "all see all", func() bool { return m.others() == len(all)-1 })
	}
	allUnderstandAll(t, "old", all)
	steps := []struct {
		name string
		keys [][]byte
	}{
		{"old, new", [][]byte{oldKey, newKey}}, {"new, old", [][]byte{newKey, oldKey}}, {"new", [][]byte{newKey}},
	}
	for _, step := range steps {
		for _, m := range all {
			if err := m.SetKeys(step.keys); err != nil {
				t.Fatal(err)
			}
			allUnderstandAll(t, step.name+" as far as "+m.config.Name, all)
		}
	}
	late := run(t, keyed(config(t, "web-4", seeder.Gossip), newKey))
	for _, m := range all {
		m.sees(t, "web-4", Alive)
		if lost := m.losses(); len(lost) > 0 {
			t.Errorf("%s saw %v go", m.config.Name, lost)
		}
	}
	late.sees(t, "web-3", Alive)
}

// A host that was away while the others learned the new key is heard but hears
// nothing: it takes them for failed, and they it. With the new key it is back.
func TestHostThatMissedAKey(t *testing.T) {
	t.Parallel()
	seeder := run(t, keyed(config(t, "seeder-1"), oldKey))
	web1 := run(t, keyed(config(t, "web-1", seeder.Gossip), oldKey))
	c := keyed(config(t, "web-2", seeder.Gossip), oldKey)
	c.Log = zap.NewNop() // it rightly complains
	missed := run(t, c)
	missed.sees(t, "web-1", Alive)
	web1.sees(t, "web-2", Alive)
	for _, m := range []*member{seeder, web1} {
		if err := errors.Join(m.SetKeys([][]byte{oldKey, newKey}), m.SetKeys([][]byte{newKey, oldKey})); err != nil {
			t.Fatal(err)
		}
	}
	if err := missed.Wake(); err != nil {
		t.Fatal(err)
	}
	web1.awaits(t, "wake-up by the host without the new key", isWoken)
	if missed.answers(seeder) || seeder.answers(missed) || missed.exchanges(seeder) || seeder.exchanges(missed) {
		t.Error("a host without the new key understands what is sent with it")
	}
	isGone := func(name string) func(Event) bool {
		return func(e Event) bool { return e.Kind == Gone && e.Member.Name == name }
	}
	seeder.awaits(t, "web-2 failing", isGone("web-2"))
	missed.awaits(t, "the seeder failing", isGone("seeder-1"))
	t.Logf("of the others the seeder saw %v go, web-1 %v", seeder.losses(), web1.losses())

	if err := missed.SetKeys([][]byte{newKey, oldKey}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{seeder, web1, missed} {
		poll(t, m.config.Name+" sees all again", func() bool { return m.others() == 2 })
	}
	allUnderstandAll(t, "with the new key", []*member{seeder, web1, missed})
}

// Who has only a key that the others let go of is out, for packets and streams,
// in both directions.
func TestRemovedKeyCutsOff(t *testing.T) {
	t.Parallel()
	quiet := func(c Config) Config {
		c.Log = zap.NewNop() // all rightly complain
		return c
	}
	seeder := run(t, quiet(keyed(config(t, "seeder-1"), newKey, oldKey)))
	web1 := run(t, quiet(keyed(config(t, "web-1", seeder.Gossip), newKey, oldKey)))
	out := run(t, quiet(keyed(config(t, "web-2", seeder.Gossip), oldKey, newKey)))
	out.sees(t, "web-1", Alive)
	web1.sees(t, "web-2", Alive)
	if err := errors.Join(out.SetKeys([][]byte{oldKey}), seeder.SetKeys([][]byte{newKey}), web1.SetKeys([][]byte{newKey})); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{seeder, web1} {
		if m.answers(out) || out.answers(m) || m.exchanges(out) || out.exchanges(m) {
			t.Errorf("%s and a host with the old key understand each other", m.config.Name)
		}
	}
	seeder.sees(t, "web-2", Failed)
	web1.sees(t, "web-2", Failed)
	out.sees(t, "seeder-1", Failed)
	for _, m := range []*member{seeder, web1} {
		if lost := m.losses(); slices.ContainsFunc(lost, func(name string) bool { return name != "web-2" }) {
			t.Errorf("%s saw %v go, want web-2 alone", m.config.Name, lost)
		}
	}
}

func TestSetKeysRefuses(t *testing.T) {
	t.Parallel()
	g := run(t, keyed(config(t, "web-1"), oldKey, newKey))
	for name, keys := range map[string][][]byte{
		"short": {newKey, []byte("short")}, "twice": {newKey, oldKey, newKey}, "empty": {nil}, "many": make([][]byte, MaxKeys+1),
	} {
		if err := g.SetKeys(keys); !errors.Is(err, release.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := g.SetKeys(nil); err == nil {
		t.Error("encryption ended")
	}
	if keys := g.keys.ring.GetKeys(); len(keys) != 2 || !bytes.Equal(keys[0], oldKey) || !bytes.Equal(keys[1], newKey) {
		t.Errorf("keys are %q after what was refused", keys)
	}
	plain := run(t, config(t, "web-2"))
	if err := plain.SetKeys(nil); err != nil {
		t.Errorf("no keys as before: %v", err)
	}
	if err := plain.SetKeys([][]byte{oldKey}); err == nil {
		t.Error("encryption began")
	}
}

// Whatever the member had before, it has what it was given, and sends with the
// first; and it has its own copy.
func TestSetKeysFromAnyToAny(t *testing.T) {
	pool := [][]byte{oldKey, newKey, otherKey, []byte("fourth key......"), []byte("fifth key......."), []byte("sixth key.......")}
	rapid.Check(t, func(t *rapid.T) {
		draw := func(what string) (keys [][]byte) {
			order := rapid.Permutation(pool).Draw(t, what)
			for _, key := range order[:rapid.IntRange(1, MaxKeys).Draw(t, "keys")] {
				keys = append(keys, bytes.Clone(key))
			}
			return keys
		}
		k, err := newKeyring(draw("first"))
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			keys, before := draw("next"), k.ring.GetKeys()
			changed, err := k.set(keys)
			if err != nil {
				t.Fatal(err)
			}
			has := k.ring.GetKeys()
			same := len(before) == len(has) && bytes.Equal(before[0], has[0]) && !slices.ContainsFunc(before, func(key []byte) bool { return !hasKey(has, key) })
			if len(has) != len(keys) || !bytes.Equal(has[0], keys[0]) || slices.ContainsFunc(keys, func(key []byte) bool { return !hasKey(has, key) }) {
				t.Fatalf("has %q, want %q", has, keys)
			}
			if changed == same {
				t.Fatalf("from %q to %q: changed = %v", before, has, changed)
			}
			keys[0][0]++
			if hasKey(has, keys[0]) {
				t.Fatal("the caller's slice is the member's key")
			}
		}
	})
}

// memberlist reads keys while they change: the race detector watches.
func TestKeysChangeUnderTraffic(t *testing.T) {
	k, err := newKeyring([][]byte{oldKey, newKey, otherKey})
	if err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if !hasKey(k.ring.GetKeys(), otherKey) {
					t.Error("a key that stays was not there")
					return
				}
			}
		})
	}
	for range 500 {
		for _, keys := range [][][]byte{{newKey, otherKey}, {otherKey, oldKey}, {oldKey, newKey, otherKey}} {
			if _, err := k.set(keys); err != nil {
				t.Fatal(err)
			}
		}
	}
	close(stop)
	readers.Wait()
}

// serf would tell, add, use and remove keys for every member that asks by a query. None
// is answered.
func TestNobodyElseHandlesKeys(t *testing.T) {
	t.Parallel()
	c := keyed(config(t, "seeder-1"), oldKey, newKey)
	c.Log = zap.NewNop() // it rightly complains
	seeder := run(t, c)
	c = keyed(config(t, "web-1", seeder.Gossip), oldKey)
	c.Log = zap.NewNop()
	asks := run(t, c)
	seeder.sees(t, "web-1", Alive)
	asks.sees(t, "seeder-1", Alive)
	manager := asks.serf.KeyManager()
	text := base64.StdEncoding.EncodeToString
	if r, err := manager.ListKeys(); err == nil || len(r.Keys) > 0 || len(r.PrimaryKeys) > 0 || r.NumResp > 0 {
		t.Errorf("asked for keys, the fleet said %+v, %v", r, err)
	}
	if _, err := manager.InstallKey(text(otherKey)); err == nil {
		t.Error("a member added a key to others")
	}
	if _, err := manager.UseKey(text(newKey)); err == nil {
		t.Error("a member made others send with another key")
	}
	if _, err := manager.RemoveKey(text(newKey)); err == nil {
		t.Error("a member removed a key of others")
	}
	if keys := seeder.keys.ring.GetKeys(); len(keys) != 2 || !bytes.Equal(keys[0], oldKey) || !bytes.Equal(keys[1], newKey) {
		t.Errorf("the seeder's keys are %q", keys)
	}
}
