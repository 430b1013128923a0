package e2e

import (
	"path/filepath"
	"testing"

	"crow/internal/release"
)

func TestTwoAppsAtOnce(t *testing.T) {
	const script = `echo "$CROW_VERSION" > "$CROW_RELEASE_DIR/../ran"`
	f := startFleet(t, 3, peerConfig{app: hook(t, "", script), extra: "  api: " + hook(t, "", script)})
	builds := map[string]string{"web": artifact(t, 9<<20), "api": artifact(t, 7<<20)}
	pushes := map[string]<-chan result{}
	for app, build := range builds {
		pushes[app] = f.background("push", build, "--app", app, "--version", "1", "--target", "role=web", "--timeout", "90s")
	}
	for app, done := range pushes {
		if r := <-done; r.code != 0 {
			t.Fatalf("push of %s: %+v", app, r)
		}
		for _, p := range f.peers {
			dir := filepath.Join(p.data, "apps", app)
			if mustRead(t, dir+"/current/artifact") != mustRead(t, builds[app]) || mustRead(t, dir+"/ran") != "1\n" {
				t.Errorf("%s: %s has other bytes, or its hook did not run", p.name, app)
			}
		}
	}
}

func TestPushIsSuperseded(t *testing.T) {
	f := startSeeder(t, "limits: {upload: 4MiB/s}")
	for range 2 {
		f.addPeer(peerConfig{})
	}
	f.awaitHosts(2)
	first := f.pushInBackground(artifact(t, 64<<20), "1")
	f.received("host-1", 1<<20)
	f.push(0, artifact(t, 1<<20), "2")
	r := <-first
	wantLine(t, r, 5, "web@1 superseded")
	if s := f.status("web"); s.Version != "2" || s.Phase != release.DeploySucceeded {
		t.Errorf("status: %+v", s)
	}
	for _, p := range f.peers {
		if p.live() != "2" {
			t.Errorf("%s runs %q, want 2", p.name, p.live())
		}
	}
}
