package main

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// brokenWriter fails as a full disk does.
type brokenWriter struct{ err error }

func (b brokenWriter) Write([]byte) (int, error) { return 0, b.err }

func TestLostResults(t *testing.T) {
	full := errors.New("no space")
	cases := []struct {
		name string
		err  error // of the command
		lost bool
	}{
		{"all went well but for the result", nil, true},
		{"the command saw it", fmt.Errorf("write: %w", full), true},
		{"a failed deploy goes before", errors.Join(&fault{kind: deployFailed, text: "failed"}, full), false},
		{"something else", errors.New("boom"), false},
	}
	for _, c := range cases {
		r := &resultWriter{w: brokenWriter{full}}
		fmt.Fprintln(r, "result")
		if got := r.lost(c.err); got != c.lost {
			t.Errorf("%s: %t", c.name, got)
		}
	}
	var b bytes.Buffer
	r := &resultWriter{w: &b}
	if fmt.Fprint(r, "result"); b.String() != "result" || r.lost(nil) {
		t.Errorf("wrote %q, lost %t", b.String(), r.lost(nil))
	}
}
