package main

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func TestSteeredText(t *testing.T) {
	paused := statusWith(hostIn("a", release.Active, 0, 0), hostIn("b", release.Staged, 0, 0))
	paused.Phase = release.DeployPaused
	for _, c := range []struct {
		name        string
		st          control.DeployStatus
		want, notes string
	}{
		{"pause", paused, "deploy d-7f3a of web@1.42.0 is paused after 1m30s: 1/2 hosts, 1 staged\n", "let it go on with: crow resume d-7f3a\n"},
		{"resume", statusWith(hostIn("a", release.Staged, 0, 0)), "deploy d-7f3a of web@1.42.0 goes on after 1m30s: 0/1 hosts, 1 staged\n", "follow it with: crow status d-7f3a --watch\n"},
		{"abort", ended(statusWith(hostIn("a", release.Staged, 0, 0)), release.DeployAborted), "deploy d-7f3a of web@1.42.0 is over, aborted, after 12.0s: 0/1 hosts, 1 staged\n", ""},
	} {
		var out, notes bytes.Buffer
		s := &session{output: outputText, streams: streams{out: &out, err: &notes}}
		if err := s.writeSteered(c.st, c.st.Started.Add(90*time.Second)); err != nil || out.String() != c.want || notes.String() != c.notes {
			t.Errorf("%s: %q and %q, %v", c.name, out.String(), notes.String(), err)
		}
		out.Reset()
		s.output = outputJSONL
		var back control.DeployStatus
		if err := s.writeSteered(c.st, c.st.Started); err != nil || json.Unmarshal(out.Bytes(), &back) != nil || back.Phase != c.st.Phase {
			t.Errorf("%s: %s, %v", c.name, out.String(), err)
		}
	}
}
