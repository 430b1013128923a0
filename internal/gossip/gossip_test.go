package gossip

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
)

// settle is how long a test waits for what the fleet should do.
const settle = 30 * time.Second

// TestMain looks for goroutines left behind. A probe that nobody answers is
// the one thing that may outlast Run, by a few seconds: it is waited for.
func TestMain(m *testing.M) {
	code := m.Run()
	deadline := time.After(2 * awarenessMax * probeInterval)
	tick := time.NewTicker(100 * time.Millisecond)
	for err := goleak.Find(); err != nil && code == 0; err = goleak.Find() {
		select {
		case <-tick.C:
		case <-deadline:
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// member is a running Gossip that a test can end.
type member struct {
	*Gossip
	stop func()
}

func config(t *testing.T, name string, join ...*Gossip) Config {
	c := Config{
		Name: name, Listen: "127.0.0.1:0",
		Log: zaptest.NewLogger(t, zaptest.Level(zapcore.InfoLevel)),
	}
	for _, g := range join {
		c.Join = append(c.Join, g.Addr().String())
	}
	return c
}

func create(t *testing.T, c Config) *Gossip {
	t.Helper()
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func run(t *testing.T, c Config) *member {
	t.Helper()
	g := create(t, c)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	m := &member{Gossip: g, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: Run: %v", c.Name, err)
		}
	})}
	t.Cleanup(m.stop)
	return m
}

// crash ends a member without a goodbye, as kill -9 does.
func (m *member) crash(t *testing.T) {
	t.Helper()
	m.guard.mu.Lock()
	m.guard.conflict = time.Now().Add(time.Hour) // keeps it quiet
	m.guard.mu.Unlock()
	m.stop()
}

func poll(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(settle)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline.C:
			t.Fatalf("%s: did not happen within %v", what, settle)
		case <-tick.C:
		}
	}
}

// sees waits until m knows the member name in that state.
func (m *member) sees(t *testing.T, name string, state State) Member {
	t.Helper()
	var found Member
	poll(t, m.config.Name+" sees "+name+" "+state.String(), func() bool {
		for _, other := range m.Members() {
			if other.Name == name && other.State == state {
				found = other
				return true
			}
		}
		return false
	})
	return found
}

func (m *member) awaits(t *testing.T, what string, ok func(Event) bool) {
	t.Helper()
	deadline := time.After(settle)
	for {
		select {
		case e, open := <-m.Events():
			if !open {
				t.Fatalf("%s: ended while waiting for %s", m.config.Name, what)
			}
			if ok(e) {
				return
			}
		case <-deadline:
			t.Fatalf("%s: no event of %s within %v", m.config.Name, what, settle)
		}
	}
}

func isWoken(e Event) bool { return e.Kind == Woken }
