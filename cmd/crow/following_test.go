package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestFollowsTheWayBack holds that the deploy that takes hosts back is followed through
// a restart of the seeder at any time.
func TestFollowsTheWayBack(t *testing.T) {
	failed := control.DeployStatus{Deploy: "d-1", App: "web", Version: "2", Phase: release.DeployFailed, Fallback: "d-2"}
	back := control.DeployStatus{Deploy: "d-2", App: "web", Version: "1", Phase: release.DeploySucceeded}
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusBadGateway) // as a proxy has it
			return
		}
		if err := json.NewEncoder(w).Encode(back); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	c, err := control.NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	var out, notes bytes.Buffer
	s := &session{output: outputText, streams: streams{out: &out, err: &notes}}
	if code := codeFor(s.followDeploy(t.Context(), c, silent{&notes}, failed, time.Minute)); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if asked != 2 || !strings.Contains(out.String(), "web@1 succeeded") {
		t.Errorf("asked %d times, %q, %q", asked, out.String(), notes.String())
	}
}
