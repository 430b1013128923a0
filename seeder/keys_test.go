package seeder

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

func TestIdempotencyKey(t *testing.T) {
	d, _ := waved(t, release.Rollout{})
	req := request("web", "2", "name=*")
	req.Key = "ci-1"
	made, err := d.deploy(req, d.now)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		d.say(fmt.Sprintf("h%d", i), made, release.Active, "")
	}
	d.reopen()
	again, err := d.deploy(req, d.now)
	if err != nil || again.ID != made.ID || again.Phase != release.DeploySucceeded {
		t.Errorf("the same key gets %s, %s, %v; want %s", again.ID, again.Phase, err, made.ID)
	}
	other := request("web", "2", "name=h1")
	other.Key = req.Key
	_, err = d.deploy(other, d.now)
	wantCode(t, err, control.CodeRefused)
	req.Version = "1"
	_, err = d.deploy(req, d.now)
	wantCode(t, err, control.CodeRefused)
}

// TestKeyOfAnotherRequest is refused, whatever is another, and both are named.
func TestKeyOfAnotherRequest(t *testing.T) {
	d, _ := waved(t, release.Rollout{})
	asked := func(version string, how release.Rollout, excludes []release.Expr, targets ...release.Expr) control.CreateDeploy {
		req := request("web", version, targets...)
		req.Rollout, req.Excludes, req.Key = how, excludes, "ci-1"
		return req
	}
	how := release.Rollout{Waves: halves, MaxFailures: share("1")}
	made := must[*deploy](t)(d.deploy(asked("2", how, nil, "name=*"), d.now))
	for name, other := range map[string]control.CreateDeploy{
		"release":       asked("1", how, nil, "name=*"),
		"hosts":         asked("2", how, nil, "name=h1"),
		"hosts to omit": asked("2", how, []release.Expr{"name=h1"}, "name=*"),
		"waves":         asked("2", release.Rollout{MaxFailures: share("1")}, nil, "name=*"),
		"failures":      asked("2", release.Rollout{Waves: halves}, nil, "name=*"),
	} {
		_, err := d.deploy(other, d.now)
		e := wantCode(t, err, control.CodeRefused)
		if want := `idempotency key "ci-1" is that of deploy ` + made.ID + " of web@2 to name=*, wave 50%,100%, max_failures 1"; !strings.HasSuffix(e.Message, want) {
			t.Errorf("another %s: %s", name, e.Message)
		}
		if want := "deploy of " + other.Ref.String() + " to " + other.Selector.String() + inWords(other.Rollout) + ": "; !strings.HasPrefix(e.Message, want) {
			t.Errorf("another %s: %s", name, e.Message)
		}
	}
	for name, same := range map[string]control.CreateDeploy{
		"the same": asked("2", how, nil, "name=*"), "no hosts": asked("2", how, []release.Expr{}),
	} {
		if again, err := d.deploy(same, d.now); err != nil || again != made {
			t.Errorf("%s: %v, %v", name, again, err)
		}
	}
}

// TestKeysOfManyJobs: each job that asks for the deploy under way has its key remembered.
func TestKeysOfManyJobs(t *testing.T) {
	const jobs = 150
	d, made := waved(t, release.Rollout{})
	req := request("web", "2", "name=*")
	for i := range jobs {
		req.Key = fmt.Sprint("job-", i)
		if again, err := d.deploy(req, d.now); err != nil || again != made {
			t.Fatalf("%s: %v, %v", req.Key, again, err)
		}
	}
	for i := range 4 {
		d.say(fmt.Sprintf("h%d", i), made, release.Active, "")
	}
	d.reopen()
	for i := range jobs {
		req.Key = fmt.Sprint("job-", i)
		if id, err := d.keyed(req); err != nil || id != made.ID {
			t.Fatalf("%s is that of %q, %v", req.Key, id, err)
		}
	}
}

// TestKeysAreForgotten after a week, and when there are too many, but not within a day.
func TestKeysAreForgotten(t *testing.T) {
	d := newDesk(t, t.TempDir())
	d.keys.most = 3
	give := func(key string) error {
		err := d.keys.room("web", key, d.now)
		if err == nil {
			err = d.keys.put(asked{Key: key, Ref: release.Ref{App: "web", Version: "1"}, Deploy: "d-1"}, d.now)
		}
		d.now = d.now.Add(time.Hour)
		return err
	}
	known := func() (text string) {
		for _, key := range []string{"a", "b", "c", "d"} {
			if was := must[*asked](t)(d.keys.find("web", key)); was != nil {
				text += key
			}
		}
		return text
	}
	if err := errors.Join(give("a"), give("b"), give("c")); err != nil {
		t.Fatal(err)
	}
	wantCode(t, give("d"), control.CodeRefused)
	if err := d.keys.room("web", "", d.now); err != nil || known() != "abc" {
		t.Errorf("a request without a key: %v, known are %s", err, known())
	}
	d.now = d.now.Add(keyLeast - 3*time.Hour)
	if err := give("d"); err != nil || known() != "bcd" {
		t.Errorf("a day later: %v, known are %s", err, known())
	}
	d.reopen()
	d.now = d.now.Add(keyAge - keyLeast + time.Hour)
	if err := d.keys.sweep(d.now); err != nil || known() != "d" {
		t.Errorf("a week later: %v, known are %s", err, known())
	}
	if names := must[[]string](t)(d.dir.ListDocs(kindKey)); len(names) != 1 {
		t.Errorf("on disk are %v", names)
	}
}

// TestKeyAfterAKillInBetween: the plan is there, its key is not.
func TestKeyAfterAKillInBetween(t *testing.T) {
	d, _ := waved(t, release.Rollout{})
	req := request("web", "1", "name=*")
	req.Key = "ci-1"
	made := must[*deploy](t)(d.deploy(req, d.now))
	if err := os.RemoveAll(filepath.Join(d.path, "docs", kindKey)); err != nil {
		t.Fatal(err)
	}
	d.reopen()
	if names := must[[]string](t)(d.dir.ListDocs(kindKey)); len(names) != 1 {
		t.Errorf("on disk are %v", names)
	}
	if id, err := d.keyed(req); err != nil || id != made.ID {
		t.Errorf("it is the key of %q, %v", id, err)
	}
	// A key of a deploy that never came about is nobody's.
	req.Key = "ci-2"
	if err := d.keys.put(asked{Key: req.Key, Ref: req.Ref, Deploy: "d-none"}, d.now); err != nil {
		t.Fatal(err)
	}
	if again, err := d.deploy(req, d.now); err != nil || again.ID != made.ID {
		t.Errorf("it is that of %v, %v", again, err)
	}
}

// TestKeyThatCannotBeRead is not taken for a new one: that may begin a second deploy.
func TestKeyThatCannotBeRead(t *testing.T) {
	d, _ := waved(t, release.Rollout{})
	req := request("web", "1", "name=*")
	req.Key = "ci-1"
	made := must[*deploy](t)(d.deploy(req, d.now))
	path := must[[]string](t)(filepath.Glob(filepath.Join(d.path, "docs", kindKey, "*")))[0]
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := d.deploy(req, d.now)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the log is told %v, want the path %s", err, path)
	}
	if _, ok := errors.AsType[*docError](err); !ok {
		t.Errorf("the cause is lost: %v", err)
	}
	if e := wantCode(t, errorOf(err), control.CodeInternal); strings.Contains(e.Message+e.Hint, d.path) {
		t.Errorf("it shows a path: %s", e.Message)
	}
	if d.deploys.newest("web").ID != made.ID {
		t.Error("another deploy has begun")
	}
}

// TestKeyOfAnArchivedDeploy: it is answered, although its release is gone by now.
func TestKeyOfAnArchivedDeploy(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir, quickPace())
	r.push("web", "1")
	r.push("web", "2")
	a := r.agent("a", nil)
	req := request("web", "1", "name=*")
	req.Key = "ci-1"
	first := must[control.DeployStatus](t)(r.client.CreateDeploy(t.Context(), req))
	a.finish("web")
	r.deploy("web", "2", "name=*")
	a.finish("web")
	must[archived](t)(ask(t.Context(), r.ledger, func(b *books, now time.Time) (archived, error) {
		defer b.catalog.remove(b.catalog.releases["web"][0], false)
		return b.retire(first.Deploy, now)
	}))
	r.stop()
	r = newRig(t, dir, quickPace())
	for _, call := range []func() (control.DeployStatus, error){
		func() (control.DeployStatus, error) { return r.client.CreateDeploy(t.Context(), req) },
		func() (control.DeployStatus, error) { return r.client.Keyed(t.Context(), req) },
	} {
		if s, err := call(); err != nil || s.Deploy != first.Deploy || s.Phase != release.DeploySucceeded {
			t.Errorf("the key's deploy is %s, %s, %v; want %s", s.Deploy, s.Phase, err, first.Deploy)
		}
	}
	// Nothing was begun, and who goes back goes by the deploys that the history has.
	history := must[[]control.HistoryEntry](t)(r.client.History(t.Context(), "web", control.MaxHistory))
	if slices.ContainsFunc(history, func(e control.HistoryEntry) bool { return e.Action == control.ActionDeploy }) {
		t.Errorf("this life has begun no deploy, and has in its history: %+v", history)
	}
	req.FetchOnly = true
	_, err := r.client.Keyed(t.Context(), req)
	wantCode(t, err, control.CodeRefused)
	req.Key = "ci-2"
	_, err = r.client.Keyed(t.Context(), req)
	wantCode(t, err, control.CodeNotFound)
}

// TestKeyOfARollback: a deploy of the same release, which hosts that run a newer one
// refuse, is another request. Documents of an earlier crow don't tell.
func TestKeyOfARollback(t *testing.T) {
	d := fleetOf(t, 2)
	one := d.catalog.find(release.Ref{App: "web", Version: "1"}).Manifest
	plain := request("web", "1", "name=*")
	plain.Key = "ci-1"
	back := plain
	back.Rollback = &control.Rollback{Statement: release.RollbackTo(one, 2, d.now, time.Time{})}
	made := must[*deploy](t)(d.deploy(back, d.now))
	if again, err := d.deploy(back, d.now); err != nil || again != made {
		t.Errorf("the same rollback is %v, %v", again, err)
	}
	_, err := d.deploy(plain, d.now)
	if e := wantCode(t, err, control.CodeRefused); !strings.HasSuffix(e.Message, "is that of rollback "+made.ID+" of web@1 to name=*") {
		t.Error(e.Message)
	}
	old := made.request(plain.Key)
	old.GoesBack = nil
	if err := d.keys.put(old, d.now); err != nil {
		t.Fatal(err)
	}
	if again, err := d.deploy(plain, d.now); err != nil || again != made {
		t.Errorf("by an earlier crow's document it is %v, %v", again, err)
	}
}

// TestKeysAreKeptToTheSecond: as their names tell after a restart.
func TestKeysAreKeptToTheSecond(t *testing.T) {
	d := newDesk(t, t.TempDir())
	at := d.now.Truncate(time.Second).Add(700 * time.Millisecond)
	if err := d.keys.put(asked{Key: "a", Ref: release.Ref{App: "web", Version: "1"}, Deploy: "d-1"}, at); err != nil {
		t.Fatal(err)
	}
	before := d.keys.given[keyID("web", "a")]
	d.reopen()
	if after := d.keys.given[keyID("web", "a")]; !after.Equal(before) {
		t.Errorf("the key was given at %s, after a restart at %s", before, after)
	}
}
