package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"crow/internal/control"
	"crow/internal/release"
)

func TestTargetsFromFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(path, []byte("# the web hosts\nweb-1\n\n  web-2  # the old one\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := exprsOf("--target", []string{"role=db,zone!=b", "@" + path, "name=api-*"})
	want := []release.Expr{"role=db,zone!=b", "name=web-1", "name=web-2", "name=api-*"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestTargetFileIsBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "names")
	if err := os.WriteFile(path, []byte(strings.Repeat("web-1\n", maxTargetFile/6+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := exprsOf("--target", []string{"@" + path}); codeFor(err) != exitUsage || !strings.Contains(err.Error(), "over 4194304 bytes") {
		t.Errorf("got %v", err)
	}
}

// TestRequireMatch asks a seeder that knows three hosts, one of which has left,
// and one deploy with an exclude.
func TestRequireMatch(t *testing.T) {
	hosts := []control.Host{
		{Name: "h1", Labels: release.Labels{"role": "web", "zone": "a"}},
		{Name: "h2", Labels: release.Labels{"role": "web", "zone": "b"}},
		{Name: "h3", Labels: release.Labels{"role": "db"}, State: control.HostLeft},
	}
	last := control.DeployStatus{Target: release.Selector{Targets: []release.Expr{"role=web", "name=gone"}, Excludes: []release.Expr{"zone=a"}}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hosts", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(hosts) })
	mux.HandleFunc("GET /v1/deploys/web", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(last) })
	mux.HandleFunc("GET /v1/deploys/new", func(w http.ResponseWriter, _ *http.Request) {
		control.WriteError(w, &control.Error{Code: control.CodeNotFound, Message: "no deploy"})
	})
	s := httptest.NewServer(mux)
	defer s.Close()
	c, err := control.NewClient(s.URL, s.Client())
	if err != nil {
		t.Fatal(err)
	}
	type exprs = []release.Expr
	cases := []struct {
		app               string
		targets, excludes exprs
		code              int
		text              string
		notes             string
	}{
		{"web", exprs{"role=web"}, exprs{"zone=z"}, exitOK, "", "warning: --exclude zone=z matches no host\n"},
		{"web", exprs{"role=web"}, exprs{"name=h9", "zone=b", "rack=r*"}, exitOK, "", "warning: --exclude name=h9, rack=r* match no host\n"},
		{"web", exprs{"role=web"}, nil, exitOK, "", ""},
		{"web", exprs{"name=h1", "name=h[12]", "zone=a,role!=db"}, nil, exitOK, "", ""},
		{"web", exprs{"role=web", "name=h99"}, nil, exitNoHost, "target name=h99 matches no host", ""},
		{"web", exprs{"role=web", "zone=c", "name=x*"}, nil, exitNoHost, "targets zone=c, name=x* match no host", ""},
		{"web", exprs{"name=a", "name=b", "name=c", "name=h1", "name=d", "name=e", "name=f", "name=g"}, nil, exitNoHost,
			"targets name=a, name=b, name=c, name=d, name=e and 2 more match no host", ""},
		{"web", exprs{"role=web"}, exprs{"zone=*"}, exitNoHost, "no host matches role=web not zone=*", ""},
		{"web", exprs{"role=web", "role=db"}, nil, exitOK, "", ""},
		{"web", exprs{"role=db"}, nil, exitNoHost, "no host matches role=db", ""},
		{"web", nil, nil, exitOK, "", ""},
		{"web", nil, exprs{"zone=b"}, exitOK, "", ""}, // the last one's zone=a counts no more
		{"web", nil, exprs{"zone=a", "zone=b"}, exitNoHost, "no host matches role=web or name=gone not zone=a not zone=b", ""},
		{"new", nil, nil, exitUsage, "--target is missing: new has no earlier deploy to take it from", ""},
	}
	for _, c1 := range cases {
		var notes bytes.Buffer
		err := (&session{streams: streams{err: &notes}}).requireMatch(t.Context(), c, c1.app, release.Selector{Targets: c1.targets, Excludes: c1.excludes})
		if codeFor(err) != c1.code || err != nil && err.Error() != c1.text {
			t.Errorf("%s %q %q: got %v with %d, want %q with %d", c1.app, c1.targets, c1.excludes, err, codeFor(err), c1.text, c1.code)
		}
		if notes.String() != c1.notes {
			t.Errorf("%s %q %q: notes %q", c1.app, c1.targets, c1.excludes, notes.String())
		}
	}
}

func FuzzTargetFile(f *testing.F) {
	for _, seed := range []string{"web-1\n", "#\n", "a b", "\x00", "web-1,role=x", "web-*", ""} {
		f.Add(seed)
	}
	path := filepath.Join(f.TempDir(), "names")
	f.Fuzz(func(t *testing.T, content string) {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		exprs, err := readNames(path)
		if err == nil && len(exprs) == 0 {
			t.Error("no names and no error")
		}
		for _, e := range exprs {
			if err := e.Validate(); err != nil || strings.ContainsAny(string(e), ",*?[") {
				t.Errorf("%q is more than a name: %v", e, err)
			}
		}
	})
}
