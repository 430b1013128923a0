package peer

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"crow/internal/release"
	"crow/peer/admin"
)

// A release whose folder is gone as a whole is damaged too.
func TestVerifyOfAFolderThatIsGone(t *testing.T) {
	for _, app := range []App{{Unpack: true}, {}} {
		t.Run(fmt.Sprint("unpack: ", app.Unpack), func(t *testing.T) {
			r := newRig(t)
			r.log, r.timing.look = nopLog, time.Hour
			stock, file := r.goods, "artifact"
			if app.Unpack {
				stock, file = r.page, "page"
			}
			r.pair(app, stock)
			for _, version := range []string{"1", "2"} {
				if err := os.RemoveAll(r.path("apps/web", version)); err != nil {
					t.Fatal(err)
				}
			}
			got := r.verify("web", false)
			if c := got["release web@1"]; c.State != admin.Mended || c.Detail != "its folder is missing; it was staged again" {
				t.Errorf("staged: %+v", c)
			}
			if c := got["release web@2"]; c.State != admin.Damaged || !strings.HasPrefix(c.Detail, "its folder is missing; it is live and was left alone") {
				t.Errorf("live: %+v", c)
			}
			if c := r.verify("web", true)["release web@2"]; c.State != admin.Mended {
				t.Errorf("live, with leave: %+v", c)
			}
			if !exists(r.path("apps/web/1", file)) || !exists(r.path("apps/web/current", file)) {
				t.Error("they are not mended")
			}
		})
	}
}

// What is removed while it waits for its turn is no damage.
func TestVerifyOfWhatIsRemovedMeanwhile(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	a, one, two := r.pair(App{Keep: 2}, r.goods)
	v := &verification{host: a.agent.host, say: func(admin.Checked) {}, ordered: map[release.Digest]bool{}, whole: map[release.Digest]bool{}}
	if err := v.list(t.Context(), "web"); err != nil || len(v.releases) != 2 {
		t.Fatalf("%d releases, %v", len(v.releases), err)
	}
	r.office.give(r.goods(big("three", 2)).order("d-3", "web", "3"))
	r.office.await(t, "d-3", release.Active)
	eventually(t, "the oldest is gone", func() bool { return !exists(r.path("cache", one.manifest.SHA256.String())) })
	for _, want := range []struct {
		digest release.Digest
		state  admin.State
		detail string
	}{{one.manifest.SHA256, admin.Unknown, "it was removed meanwhile"}, {two.manifest.SHA256, admin.OK, ""}} {
		if state, detail, err := v.artifact(t.Context(), want.digest); state != want.state || detail != want.detail || err != nil {
			t.Errorf("artifact: %s, %q, %v, want %+v", state, detail, err, want)
		}
	}
	if state, detail, err := v.release(t.Context(), v.releases[0]); state != admin.Unknown || detail != "it was removed meanwhile" || err != nil {
		t.Errorf("release: %s, %q, %v", state, detail, err)
	}
	if n := a.copier.fetchCount(one.manifest.InfoHash); n != 1 {
		t.Errorf("it was fetched %d times", n)
	}
}

// An artifact that nothing needs is not fetched again.
func TestVerifyRemovesDamageThatNobodyNeeds(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	a, _, _ := r.pair(App{}, r.goods)
	digest := r.orphan()
	d, err := release.ParseDigest(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer a.agent.cache.hold(d)() // from the keeper
	c := r.verify("", false)["artifact "+digest]
	if c.State != admin.Mended || c.Detail != "it was damaged, and was removed: no release needs it" || exists(r.path("cache", digest)) {
		t.Errorf("%+v", c)
	}
}

// Who is no longer waited for leaves a host without the damaged artifact: the agent
// fetches it all the same, in this life or the next.
func TestAbandonedVerifyLeavesNothingLost(t *testing.T) {
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprint("agent ends: ", killed), func(t *testing.T) {
			r := newRig(t)
			r.log = nopLog
			d := newDoor(0)
			var armed atomic.Bool
			r.gate = func(ctx context.Context, infohash release.Digest, offset int64) error {
				if !armed.Load() {
					return nil
				}
				return d.pass(ctx, infohash, offset)
			}
			a, _, two := r.pair(App{Unpack: true}, r.page)
			armed.Store(true)
			path := r.path("cache", two.manifest.SHA256.String())
			corrupt(t, path)
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- Verify(ctx, r.cfg, "web", false, func(admin.Checked) {}) }()
			<-d.reached
			cancel()
			if err := <-ended; err == nil {
				t.Error("it was not abandoned")
			}
			if killed {
				a.stop(t)
				if exists(path) {
					t.Fatal("it is there")
				}
				a = r.start()
			}
			d.open()
			eventually(t, "fetched again", func() bool { return exists(path) && a.copier.isOffered(two.manifest.InfoHash) })
		})
	}
}
