package seeder

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
)

// damagedDesk is a desk with one of each document, whose seeder was killed, and the
// id of its one deploy, which has succeeded.
func damagedDesk(t *testing.T) (d *desk, deploy string) {
	t.Helper()
	d = newDesk(t, t.TempDir())
	d.join("a", nil)
	d.make("web", "1")
	if _, err := d.catalog.sign(release.Ref{App: "web", Version: "1"}, []string{"s"}, "ann"); err != nil {
		t.Fatal(err)
	}
	for sum, blob := range d.catalog.blobs {
		if err := d.put(kindBlob, sum.String(), blob); err != nil {
			t.Fatal(err)
		}
	}
	rate := int64(1 << 20)
	if err := errors.Join(d.put(kindLimits, uplinkName, control.WantedLimits{Upload: &rate}), d.put(kindGossip, ringName, ring{})); err != nil {
		t.Fatal(err)
	}
	made := d.start("web", "1", "name=a")
	d.say("a", made, release.Active, "")
	d.fleet.save(d.now)
	return d, made.ID
}

func (d *desk) docs(kind string) []string {
	return must[[]string](d.t)(filepath.Glob(filepath.Join(d.path, "docs", kind, "*")))
}

// Without some documents the seeder would do harm: it says which one is damaged, and
// what there is to do.
func TestDamagedDocumentStopsTheSeeder(t *testing.T) {
	unknown := func(b []byte) []byte { return []byte(strings.Replace(string(b), "{", `{"hold_back":true,`, 1)) }
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	swap := func(from, to string) func([]byte) []byte {
		return func(b []byte) []byte { return []byte(strings.Replace(string(b), from, to, 1)) }
	}
	for _, c := range []struct {
		kind   string
		damage func([]byte) []byte
	}{
		{kindRelease, cut}, {kindRelease, unknown}, {kindDeploy, cut}, {kindDeploy, unknown}, {kindBlob, cut}, {kindFleet, cut},
		{kindLimits, cut}, {kindGossip, cut}, {kindDeploy, func([]byte) []byte { return []byte("null") }},
		{kindDeploy, swap(`"turns":[0]`, `"turns":[1]`)}, {kindDeploy, swap(`"turns":[0]`, `"turns":[-1]`)},
		{kindDeploy, swap(`"turns":[0]`, `"turns":[0,0]`)}, {kindDeploy, swap(`"hosts":["a"]`, `"hosts":["a","a"]`)},
		{kindDeploy, swap(`"hosts":["a"]`, `"hosts":["../a"]`)}, {kindDeploy, swap(`"hosts":["a"]`, `"hosts":["a"],"rollout":{"hosts_at_once":-1}`)},
		{kindDeploy, func(b []byte) []byte { return append(b, b...) }}, {kindBlob, func([]byte) []byte { return []byte("{}") }},
	} {
		d, _ := damagedDesk(t)
		path := d.docs(c.kind)[0]
		if err := os.WriteFile(path, c.damage(must[[]byte](t)(os.ReadFile(path))), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := openBooks(&env{dir: d.dir, log: zap.NewNop(), pace: defaultPace(), started: d.now}, func(release.Digest) int64 { return 0 })
		if e := wantCode(t, err, control.CodeInternal); !strings.Contains(e.Message, path) || !strings.Contains(e.Hint, "backup") {
			t.Errorf("%s: %s, hint: %s", c.kind, e.Message, e.Hint)
		}
	}
}

// A seeder is not kept down by what it can do without.
func TestDamagedDocumentIsSetAside(t *testing.T) {
	for _, damaged := range []string{"\x00\x00", `{"phase":"running","course":{"wave":-1}}`} {
		testSetAside(t, damaged)
	}
}

func testSetAside(t *testing.T, damaged string) {
	d, id := damagedDesk(t)
	for _, kind := range []string{kindResult, kindSignatures} {
		if err := os.WriteFile(d.docs(kind)[0], []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		d.reopen()
		if s := d.wantPhase(id, release.DeployFailed); s.Reason != unreadable || s.Finished == nil {
			t.Errorf("status is %+v", s)
		}
		if d.orderOf("a", "web") != id {
			t.Error("the host has lost its order")
		}
	}
	ref := release.Ref{App: "web", Version: "1"}
	if got := d.catalog.find(ref).Signatures; len(got) != 0 {
		t.Errorf("signatures are %q", got)
	}
	if r, err := d.catalog.sign(ref, []string{"s"}, "ann"); err != nil || !slices.Equal(r.Signatures, []string{"s"}) {
		t.Errorf("signed again: %+v, %v", r, err)
	}
	var names []string
	for _, path := range d.docs("damaged") {
		names = append(names, filepath.Base(path))
	}
	if want := []string{kindResult + "." + id, kindSignatures + ".web@1"}; !slices.Equal(names, want) {
		t.Errorf("set aside are %q, want %q", names, want)
	}
}

// What a newer crow wrote besides orders and releases is passed over.
func TestOlderCrowReadsNewerResults(t *testing.T) {
	d, id := damagedDesk(t)
	for _, path := range slices.Concat(d.docs(kindResult), d.docs(kindLimits)) {
		b := must[[]byte](t)(os.ReadFile(path))
		if err := os.WriteFile(path, []byte(strings.Replace(string(b), "{", `{"newer":1,`, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.reopen()
	d.wantPhase(id, release.DeploySucceeded)
}

// A result that is damaged while the seeder runs is found when it is asked for.
func TestResultIsDamagedMeanwhile(t *testing.T) {
	d, id := damagedDesk(t)
	found := must[*deploy](t)(d.deploys.find(id))
	found.rows = nil // at rest, as older deploys are
	if err := os.WriteFile(d.docs(kindResult)[0], []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s := d.wantPhase(id, release.DeployFailed); s.Reason != unreadable {
		t.Errorf("reason is %q", s.Reason)
	}
	if _, err := d.dir.GetDoc(kindResult, id); errors.Is(err, store.ErrNotFound) {
		t.Error("no result took its place")
	}
}
