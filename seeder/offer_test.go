package seeder

import (
	"bytes"
	"os"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// TestOffersFollowTheOrders deploys many versions and holds that what nobody is
// ordered to have is not offered.
func TestOffersFollowTheOrders(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	a, b := r.agent("a", nil), r.agent("b", nil)
	for _, version := range []string{"1", "2", "3", "4"} {
		r.push("web", version)
		r.deploy("web", version, "name=*")
		a.finish("web")
		b.finish("web")
		eventually(t, "one release is offered", func() bool { return r.swarm.count() == 1 })
	}
	r.deploy("web", "1", "name=a") // back, on one host
	eventually(t, "both releases are offered", func() bool { return r.swarm.count() == 2 })
	_, err := r.client.CreateDeploy(t.Context(), request("web", "2", "name=nobody"))
	wantCode(t, err, control.CodeNoHost)
	if n := r.swarm.count(); n != 2 {
		t.Errorf("a refused deploy left %d releases offered", n)
	}
}

// TestTouchedArtifactIsHashedAgain changes the file's time and then its bytes
// behind the seeder's back.
func TestTouchedArtifactIsHashedAgain(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	r.agent("a", nil)
	found := r.push("web", "1")
	path := r.store.BlobPath(found.SHA256)
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	r.deploy("web", "1", "name=*")
	intact := must[bool](t)(ask(t.Context(), r.ledger, func(b *books, _ time.Time) (bool, error) {
		return b.catalog.blobs[found.SHA256].intact(path), nil
	}))
	if !intact {
		t.Error("the file's new time was not recorded")
	}

	dir := r.killed()
	r.stop()
	spoil(t, dir+"/blobs/"+found.SHA256.String())
	again := newRig(t, dir, quickPace())
	_, err := again.client.CreateDeploy(t.Context(), request("web", "1", "name=*"))
	if e := wantCode(t, err, control.CodeInternal); e.Hint == "" {
		t.Errorf("no hint with %q", e.Message)
	}
	if again.swarm.count() != 0 {
		t.Error("a damaged artifact is offered")
	}
	// The same artifact, sent again, heals the copy.
	b, _ := artifact(t, "web1", 100_000)
	must[control.Blob](t)(again.client.Upload(t.Context(), bytes.NewReader(b)))
	if healed := must[[]byte](t)(os.ReadFile(again.store.BlobPath(found.SHA256))); !bytes.Equal(healed, b) {
		t.Error("the damaged copy was kept")
	}
	if s := again.deploy("web", "1", "name=*"); s.Phase != release.DeployRunning || again.swarm.count() != 1 {
		t.Errorf("after the upload: deploy %s, %d offered", s.Phase, again.swarm.count())
	}
}

// spoil changes one byte of a file and leaves its size.
func spoil(t *testing.T, path string) {
	t.Helper()
	b := must[[]byte](t)(os.ReadFile(path))
	b[len(b)/2]++
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}
