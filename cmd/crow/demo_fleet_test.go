package main

import (
	"context"
	"errors"
	"testing"
)

// TestWhileAlive holds that nobody waits for a daemon of the demo that has died.
func TestWhileAlive(t *testing.T) {
	crashed := errors.New("exit status 2")
	c := &child{name: "seeder", done: make(chan struct{})}
	f := &demoFleet{children: []*child{c}}
	failed := errors.New("deploy failed")
	if err := f.whileAlive(t.Context(), func(context.Context) error { return nil }); err != nil {
		t.Errorf("it lives and all went well: %v", err)
	}
	if err := f.whileAlive(t.Context(), func(context.Context) error { return failed }); !errors.Is(err, failed) {
		t.Errorf("it lives: %v, want %v", err, failed)
	}
	err := f.whileAlive(t.Context(), func(ctx context.Context) error {
		c.err = crashed
		close(c.done)
		<-ctx.Done()
		return ctx.Err()
	})
	if !errors.Is(err, crashed) {
		t.Errorf("it died: %v, want %v", err, crashed)
	}
}
