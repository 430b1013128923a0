package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
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

// TestResultsSteerNoTerminal has a seeder whose words would.
func TestResultsSteerNoTerminal(t *testing.T) {
	st := control.DeployStatus{App: "web\x1b[2J", Deploy: "d\u009b1A", Hosts: []control.HostStatus{{Name: "a\u202eb", Reason: "x\x07\x7f"}}}
	for _, form := range []output{outputText, outputJSON, outputJSONL} {
		var b bytes.Buffer
		s := &session{output: form, streams: streams{out: &resultWriter{w: &b}}}
		if err := s.writeStatus(st, nil); err != nil {
			t.Fatal(err)
		}
		if got := b.String(); got != release.Printable(got, '\n') {
			t.Errorf("%s: %q", form, got)
		}
		var back control.DeployStatus
		if form != outputText && (json.Unmarshal(b.Bytes(), &back) != nil || back.App != st.App || back.Hosts[0] != st.Hosts[0]) {
			t.Errorf("%s: %+v", form, back)
		}
	}
}
