package seeder

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/control"
	"crow/internal/release"
	"crow/tracker"
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
	if e := wantCode(t, err, control.CodeDamaged); e.Hint == "" {
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

// pipe puts a pipe in an artifact's place, so that hashing it waits for who
// writes.
func pipe(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
}

// feed returns once a pipe is being read, and what writes the rest to it.
func feed(t *testing.T, path string) (finish func(b []byte)) {
	t.Helper()
	f := must[*os.File](t)(os.OpenFile(path, os.O_WRONLY, 0))
	return func(b []byte) {
		t.Helper()
		if _, err := f.Write(b); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHashingHoldsNobodyUp starts with an artifact in force that takes long to
// hash, and deploys another meanwhile.
func TestHashingHoldsNobodyUp(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	r.agent("a", nil)
	slow := r.push("web", "1")
	r.push("db", "1")
	r.deploy("web", "1", "name=*")
	dir := r.killed()
	path := dir + "/blobs/" + slow.SHA256.String()
	pipe(t, path)
	again := newRig(t, dir, quickPace())
	finish := feed(t, path)
	again.deploy("db", "1", "name=*")
	if n := again.swarm.count(); n != 1 {
		t.Errorf("%d releases are offered, want the one of db", n)
	}
	b, _ := artifact(t, "web1", 100_000)
	finish(b)
	eventually(t, "both releases are offered", func() bool { return again.swarm.count() == 2 })
}

// TestHashingOutlastsItsCaller has the one who deploys hang up before a touched
// artifact is hashed, and holds that it was not in vain.
func TestHashingOutlastsItsCaller(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	r.agent("a", nil)
	found := r.push("web", "1")
	modTime := func() time.Time {
		return must[time.Time](t)(ask(t.Context(), r.ledger, func(b *books, _ time.Time) (time.Time, error) {
			return b.catalog.blobs[found.SHA256].ModTime, nil
		}))
	}
	before, path := modTime(), r.store.BlobPath(found.SHA256)
	pipe(t, path)
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- r.api.offers.during(ctx, release.Ref{App: "web", Version: "1"}, func() error { return ctx.Err() })
	}()
	finish := feed(t, path)
	hangUp()
	b, _ := artifact(t, "web1", 100_000)
	finish(b)
	if err := <-ended; err == nil {
		t.Error("the deploy was made for a caller that had gone")
	}
	if modTime().Equal(before) {
		t.Error("the file's new time was not recorded")
	}
}

// TestDeadTrackerHoldsNobodyUp deploys while a tracker elsewhere takes calls and
// never answers.
func TestDeadTrackerHoldsNobodyUp(t *testing.T) {
	var calls, ended atomic.Int64
	dead := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.Copy(io.Discard, r.Body) // only then is it seen that the caller hangs up
			calls.Add(1)
			<-r.Context().Done()
			ended.Add(1)
		}
	}))
	t.Cleanup(dead.Close)
	cfg := testConfig(t.TempDir())
	cfg.Trackers = []string{dead.URL + tracker.PathAnnounce}
	_, c, stop := start(t, cfg, nil)
	t.Cleanup(stop) // before the tracker
	must[control.Welcome](t)(c.Hello(t.Context(), "a", helloOf("a", nil)))
	pushTo(t, c, "1", 1000)
	must[control.DeployStatus](t)(c.CreateDeploy(t.Context(), request("web", "1", "name=*")))
	if ended.Load() > 0 {
		t.Error("the deploy waited for the tracker")
	}
	eventually(t, "the tracker was called", func() bool { return calls.Load() == 1 })
}

// TestUploadRepairsTheSwarm damages an artifact that is on offer, and sends it
// again.
func TestUploadRepairsTheSwarm(t *testing.T) {
	s, c, _ := start(t, testConfig(t.TempDir()), nil)
	must[control.Welcome](t)(c.Hello(t.Context(), "a", helloOf("a", nil)))
	want, blob := pushTo(t, c, "1", 300_000)
	must[control.DeployStatus](t)(c.CreateDeploy(t.Context(), request("web", "1", "name=*")))
	spoil(t, s.dir.BlobPath(blob.SHA256))
	_, err := c.CreateDeploy(t.Context(), request("web", "1", "name=*"))
	wantCode(t, err, control.CodeDamaged)
	must[control.Blob](t)(c.Upload(t.Context(), bytes.NewReader(want)))
	if got := fetch(t, c, blob); !bytes.Equal(got, want) {
		t.Error("the swarm gave other bytes")
	}
}
