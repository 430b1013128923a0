package peer

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/release"
	"crow/peer/admin"
)

// verify returns what was said, by kind and name of app@version.
func (r *rig) verify(app string, mendLive bool) map[string]admin.Checked {
	r.t.Helper()
	all := map[string]admin.Checked{}
	err := Verify(r.t.Context(), r.cfg, app, mendLive, func(c admin.Checked) {
		all[string(c.Kind)+" "+c.Name] = c
		if c.Done != len(all) || c.Of < c.Done {
			r.t.Errorf("%d of %d is told after %d", c.Done, c.Of, len(all)-1)
		}
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return all
}

// wantStates compares states, and returns the details.
func wantStates(t *testing.T, got map[string]admin.Checked, want map[string]admin.State) {
	t.Helper()
	for name, state := range want {
		if got[name].State != state {
			t.Errorf("%s is %q (%s), want %q", name, got[name].State, got[name].Detail, state)
		}
	}
	if len(got) != len(want) {
		t.Errorf("verified: %+v", got)
	}
}

// pair is a host with release 1 staged and release 2 live.
func (r *rig) pair(app App, add func(string) goods) (a *agentUnderTest, one, two goods) {
	r.t.Helper()
	r.cfg.Apps["web"] = app
	one, two = add(big("one", 2)), add(big("two", 2))
	a = r.start()
	r.office.give(one.order("d-1", "web", "1"))
	r.office.await(r.t, "d-1", release.Active)
	r.office.give(two.order("d-2", "web", "2"))
	r.office.await(r.t, "d-2", release.Active)
	return a, one, two
}

func (r *rig) page(content string) goods {
	return r.archive(map[string]string{"page": content, "bin/server": "program"})
}

func TestVerifyUnpackedReleases(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	ran := filepath.Join(t.TempDir(), "ran")
	_, one, two := r.pair(r.hook(App{Unpack: true}, "echo >> "+ran+"; touch pid"), r.page)
	first, second := "artifact "+one.manifest.SHA256.String(), "artifact "+two.manifest.SHA256.String()
	all := map[string]admin.State{first: admin.OK, second: admin.OK, "release web@1": admin.OK, "release web@2": admin.OK}
	wantStates(t, r.verify("", false), all)

	for _, version := range []string{"1", "2"} {
		for _, err := range []error{
			os.WriteFile(r.path("apps/web", version, "page"), []byte("spoilt"), 0o600), os.Remove(r.path("apps/web", version, "bin/server")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	all["release web@1"], all["release web@2"] = admin.Mended, admin.Damaged
	got := r.verify("web", false)
	wantStates(t, got, all)
	want := `"bin/server": is missing; "page": has 6 bytes, not 65536; it is live and was left alone: crow peer verify web --mend-live puts its files back, or roll back`
	if detail := got["release web@2"].Detail; detail != want {
		t.Errorf("detail is %q, want %q", detail, want)
	}
	if r.read("apps/web/1/page") != big("one", 2) || r.read("apps/web/2/page") != "spoilt" {
		t.Error("the staged release is not mended, or the live one is")
	}

	all["release web@1"], all["release web@2"] = admin.OK, admin.Mended
	wantStates(t, r.verify("web", true), all)
	if r.read("apps/web/current/page") != big("two", 2) || len(lines(ran)) != 2 {
		t.Error("the live release is not mended, or its hook ran")
	}
	r.office.await(t, "d-2", release.Active)
	if left := leftovers(t, r); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestVerifyMendsTheCache(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	a, one, two := r.pair(App{}, r.goods)
	for _, g := range []goods{one, two} {
		corrupt(t, r.path("cache", g.manifest.SHA256.String()))
	}
	first, second := "artifact "+one.manifest.SHA256.String(), "artifact "+two.manifest.SHA256.String()
	got := r.verify("", false)
	wantStates(t, got, map[string]admin.State{first: admin.Mended, second: admin.Mended, "release web@1": admin.Mended, "release web@2": admin.Damaged})
	if detail := got[first].Detail; detail != "it was damaged, and was fetched again" {
		t.Errorf("detail is %q", detail)
	}
	if r.read("apps/web/1/artifact") != big("one", 2) || r.read("apps/web/2/artifact") == big("two", 2) {
		t.Error("the staged release is not mended, or the live one is")
	}
	wantStates(t, r.verify("web", true), map[string]admin.State{first: admin.OK, second: admin.OK, "release web@1": admin.OK, "release web@2": admin.Mended})
	if r.read("apps/web/2/artifact") != big("two", 2) {
		t.Error("the live release is not mended")
	}
	for _, g := range []goods{one, two} {
		if !a.copier.isOffered(g.manifest.InfoHash) || a.copier.fetchCount(g.manifest.InfoHash) != 2 {
			t.Errorf("%s: offered %v, %d fetches", g.manifest.SHA256, a.copier.isOffered(g.manifest.InfoHash), a.copier.fetchCount(g.manifest.InfoHash))
		}
	}
}

// What nobody has any more stays damaged, and what depends on it is not known.
func TestVerifyOfWhatIsLost(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.timing.stall = 300 * time.Millisecond
	a, one, _ := r.pair(App{Unpack: true}, r.page)
	digest := one.manifest.SHA256.String()
	corrupt(t, r.path("cache", digest))
	a.copier.damaged.Store(true) // nothing good arrives
	got := r.verify("", false)
	if c := got["artifact "+digest]; c.State != admin.Damaged || !strings.HasPrefix(c.Detail, "it was damaged, and could not be fetched again: nothing arrived for 300ms") {
		t.Errorf("artifact: %+v", c)
	}
	if c := got["release web@1"]; c.State != admin.Unknown || c.Detail != "its artifact is not there to compare it with" {
		t.Errorf("release: %+v", c)
	}
	if c := got["release web@2"]; c.State != admin.OK {
		t.Errorf("the other release: %+v", c)
	}
}

// What is fetched again has to fit, as any fetch has, and drops no release for it.
func TestVerifyKeepsTheBudget(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	r.cfg.DiskBudget = 8 << 20
	a, one, _ := r.pair(App{Unpack: true, Keep: 10}, func(seed string) goods { return r.page(mebi(seed)) })
	filler := r.path("filler")
	digest := one.manifest.SHA256.String()
	if err := os.Remove(r.path("cache", digest)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filler, make([]byte, 9<<19), 0o600); err != nil {
		t.Fatal(err)
	}
	c := r.verify("web", false)["artifact "+digest]
	if c.State != admin.Damaged || !strings.Contains(c.Detail, "could not be fetched again: over budget: need 1.0 MiB in ") {
		t.Errorf("without room: %+v", c)
	}
	if n := a.copier.fetchCount(one.manifest.InfoHash); n != 1 || !exists(r.path("apps/web/1/page")) {
		t.Errorf("%d fetches, or the release is gone", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if c := r.verify("web", false)["artifact "+digest]; c.State != admin.Mended {
		t.Errorf("with room: %+v", c)
	}
	a.stop(t)
	if n := len(a.agent.disk.claims); n > 0 {
		t.Errorf("%d claims are left", n)
	}
}

func TestVerifyBesideADeploy(t *testing.T) {
	r := newRig(t)
	r.log = nopLog
	dir := t.TempDir()
	_, _, two := r.pair(r.hook(App{Unpack: true}, "cd "+dir+"; [ $CROW_VERSION != 3 ] || while [ ! -e go ]; do sleep 0.01; done"), r.page)
	r.office.give(r.page("three").order("d-3", "web", "3"))
	r.office.await(t, "d-3", release.Activating)
	if err := os.Remove(r.path("apps/web/2/page")); err != nil {
		t.Fatal(err)
	}
	got := r.verify("web", false)
	if c := got["release web@2"]; c.State != admin.Damaged || !strings.HasSuffix(c.Detail, "a deploy of the app is under way: try again after it") {
		t.Errorf("release: %+v", c)
	}
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.office.await(t, "d-3", release.Active)
	eventually(t, "mended", func() bool { return r.verify("web", false)["release web@2"].State == admin.Mended })
	if got := r.verify("web", false)["artifact "+two.manifest.SHA256.String()]; got.State != admin.OK {
		t.Errorf("artifact: %+v", got)
	}
}

func TestVerifyRefusals(t *testing.T) {
	r := newRig(t)
	each := func(admin.Checked) { t.Error("something was verified") }
	if err := Verify(t.Context(), r.cfg, "", false, each); !errors.Is(err, admin.ErrNoAgent) {
		t.Errorf("without an agent: %v", err)
	}
	a := r.start()
	if err := Verify(t.Context(), r.cfg, "db", false, each); err == nil || err.Error() != `this host has no release of app "db"` {
		t.Errorf("of an app that is not there: %v", err)
	}
	a.local.verifying.Lock()
	if err := Verify(t.Context(), r.cfg, "", false, each); err == nil || err.Error() != "another verification is under way" {
		t.Errorf("beside another: %v", err)
	}
	a.local.verifying.Unlock()
}

func TestShown(t *testing.T) {
	var five []string
	for i := range 5 {
		five = append(five, fmt.Sprint(i))
	}
	if got := shown(five); got != "0; 1; 2; and 2 more" {
		t.Errorf("five: %q", got)
	}
	if got := shown(slices.Clone(five[:3])); got != "0; 1; 2" {
		t.Errorf("three: %q", got)
	}
}
