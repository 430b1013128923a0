package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
)

// TestOlder holds that the newest of each app stay, whatever else stands between them.
func TestOlder(t *testing.T) {
	r := func(app, version string) control.Release {
		r := releaseAt(version, 1, time.Now())
		r.App = app
		return r
	}
	all := []control.Release{r("web", "3"), r("api", "9"), r("web", "2"), r("web", "1"), r("api", "8")}
	for keep, want := range map[int]string{1: "web@2 web@1 api@8 ", 2: "web@1 ", 3: ""} {
		got := ""
		for _, r := range older(all, keep) {
			got += r.Ref().String() + " "
		}
		if got != want {
			t.Errorf("keep %d: %q, want %q", keep, got, want)
		}
	}
}

// TestPruneBesideAnother holds that what somebody else has removed meanwhile is no
// error, and does not count.
func TestPruneBesideAnother(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "web") {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"error":{"code":"not_found","message":"no release web@1"}}`)
			return
		}
		fmt.Fprint(w, `{"bytes":5}`)
	}))
	defer server.Close()
	c, err := control.NewClient(server.URL, server.Client())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s := &session{output: outputText, streams: streams{out: &out}}
	old := []control.Release{releaseAt("1", 1, time.Now()), releaseAt("1", 1, time.Now())}
	old[1].App = "api"
	err = s.prune(t.Context(), c, old, false)
	if err != nil || !strings.HasSuffix(out.String(), "1 old release removed, 5 B\n") {
		t.Errorf("%v, %q", err, out.String())
	}
}
