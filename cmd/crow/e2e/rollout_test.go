package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// countingHook counts its runs, and fails for a release whose artifact says so on
// hosts that it names: "fail host-2".
const countingHook = `echo "$CROW_VERSION" >> "$CROW_RELEASE_DIR/../runs"
if grep -q "^fail $CROW_HOST\$" artifact; then echo "refusing to start"; exit 42; fi`

// runs are the versions that a host's hook was run for.
func (d *daemon) runs() string {
	b, _ := os.ReadFile(filepath.Join(d.data, "apps", "web", "runs")) // before the first there is none
	return strings.Join(strings.Fields(string(b)), " ")
}

func (f *fleet) wantRuns(want ...string) {
	f.t.Helper()
	for i, p := range f.peers { // a release is live before its hook runs
		f.eventually(30*time.Second, fmt.Sprintf("the hook of %s ran for %q", p.name, want[i]), func() error {
			if got := p.runs(); got != want[i] {
				return fmt.Errorf("it ran for %q", got)
			}
			return nil
		})
	}
}

// text writes an artifact of a few words.
func text(t *testing.T, words string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "build")
	write(t, path, words+"\n", 0o644)
	return path
}

func (f *fleet) await(deploy string, phase release.DeployPhase) (s control.DeployStatus) {
	f.t.Helper()
	f.eventually(60*time.Second, deploy+" is "+phase.String(), func() error {
		if s = f.status(deploy); s.Phase != phase {
			return fmt.Errorf("it is %s: %s; %s", s.Phase, s.Reason, s.WaitsFor)
		}
		return nil
	})
	return s
}

func zoned(t *testing.T, hosts int) *fleet {
	t.Helper()
	f := startSeeder(t, "")
	for i := range hosts {
		f.addPeer(peerConfig{app: hook(t, "", countingHook), labels: fmt.Sprintf("{role: web, zone: %c}", 'a'+rune(i%2))})
	}
	f.awaitHosts(hosts)
	return f
}

func TestWavesStopAtTheFirstFailure(t *testing.T) {
	f := zoned(t, 4)
	f.push(0, text(t, "one"), "1")
	r := f.push(3, text(t, "two\nfail host-1"), "2", "--wave", "1,50%,100%")
	wantLine(t, r, 3, "paused", "host-1")
	s := f.status("web")
	if s.Phase != release.DeployPaused || s.PausedBy != "failures" {
		t.Fatalf("%s by %q: %s", s.Phase, s.PausedBy, s.Reason)
	}
	f.wantRuns("1 2", "1", "1", "1")
	f.eventually(30*time.Second, "the others have it staged", func() error {
		for _, h := range f.status("web").Hosts {
			if h.Name != "host-1" && h.Phase != release.Staged {
				return fmt.Errorf("%s is %s", h.Name, h.Phase)
			}
		}
		return nil
	})
	f.seeder.kill()
	f.seeder.start()
	f.awaitHosts(4)
	f.await(s.Deploy, release.DeployPaused)
	if r := f.crow("resume", s.Deploy); r.code != 0 {
		t.Fatalf("resume: %+v", r)
	}
	f.await(s.Deploy, release.DeployFailed)
	f.wantRuns("1 2", "1 2", "1 2", "1 2")
	// The fault is mended on the host, and only that host tries again.
	if r := f.crow("retry", s.Deploy, "--failed-only"); r.code != 0 {
		t.Fatalf("retry: %+v", r)
	}
	f.await(s.Deploy, release.DeployFailed)
	f.wantRuns("1 2 2", "1 2", "1 2", "1 2")
}

func TestRollbackOnFailureBringsTheOldBack(t *testing.T) {
	f := zoned(t, 4)
	f.push(0, text(t, "one"), "1")
	r := f.push(3, text(t, "two\nfail host-3"), "2", "--wave", "2,100%", "--on-failure", "rollback")
	for _, p := range f.peers {
		f.eventually(60*time.Second, p.name+" runs 1", func() error {
			if p.live() != "1" {
				return errors.New("it runs " + p.live())
			}
			return nil
		})
	}
	if !strings.Contains(r.stderr+r.stdout, "1") {
		t.Errorf("the way back is not told: %+v", r)
	}
	if s := f.await("web", release.DeploySucceeded); s.Version != "1" {
		t.Errorf("the newest deploy: %s of %s, %s", s.Phase, s.Version, s.Reason)
	}
}

func TestFetchOnlyThenDeployMovesNothing(t *testing.T) {
	f := zoned(t, 2)
	f.push(0, artifact(t, 5<<20), "1", "--fetch-only")
	f.wantRuns("", "")
	if r := f.crow("deploy", "web@1", "--target", "role=web"); r.code != 0 {
		t.Fatalf("deploy: %+v", r)
	}
	for _, h := range f.status("web").Hosts {
		if h.Bytes.Received() != 0 || h.Phase != release.Active {
			t.Errorf("%s: %s after %+v", h.Name, h.Phase, h.Bytes)
		}
	}
	f.wantRuns("1", "1")
}

func TestPauseAndAbortByHand(t *testing.T) {
	f := startSeeder(t, "limits: {upload: 4MiB/s}")
	for range 2 {
		f.addPeer(peerConfig{app: hook(t, "", countingHook)})
	}
	f.awaitHosts(2)
	done := f.pushInBackground(artifact(t, 32<<20), "1")
	f.received("host-1", 1<<20)
	if r := f.crow("pause", "web"); r.code != 0 {
		t.Fatalf("pause: %+v", r)
	}
	if r := f.crow("pause", "web"); r.code != 0 {
		t.Fatalf("pause again: %+v", r)
	}
	f.limits("seeder", "--upload", "none")
	f.eventually(60*time.Second, "both have it staged", func() error {
		for _, h := range f.status("web").Hosts {
			if h.Phase != release.Staged {
				return fmt.Errorf("%s is %s", h.Name, h.Phase)
			}
		}
		return nil
	})
	f.wantRuns("", "")
	if r := f.crow("abort", "web"); r.code != 0 {
		t.Fatalf("abort: %+v", r)
	}
	if r := <-done; r.code != 5 {
		t.Errorf("the push exits %d, want 5: %s", r.code, r.stderr)
	}
	if r := f.crow("resume", "web"); r.code != 2 {
		t.Errorf("resume of an aborted deploy exits %d, want 2: %s", r.code, r.stderr)
	}
	f.wantRuns("", "")
}

func TestDryRunChangesNothing(t *testing.T) {
	f := zoned(t, 2)
	f.push(0, artifact(t, 1<<20), "1")
	f.push(0, artifact(t, 1<<20), "2", "--fetch-only")
	before := f.status("web").Deploy
	r := f.crow("deploy", "web@2", "--target", "role=web", "--dry-run", "--output", "json", "--detailed-exitcode")
	var p control.DeployPlan
	if err := json.Unmarshal([]byte(r.stdout), &p); err != nil || r.code != 9 || !p.Changes || p.Bytes != 0 || len(p.Hosts) != 2 {
		t.Errorf("plan: %+v, %v, %+v", r, err, p)
	}
	if r := f.crow("deploy", "web@1", "--target", "role=web", "--dry-run", "--detailed-exitcode"); r.code != 0 {
		t.Errorf("a plan that changes nothing exits %d: %s", r.code, r.stdout+r.stderr)
	}
	if after := f.status("web").Deploy; after != before {
		t.Errorf("there is a new deploy: %s", after)
	}
}

func TestIdempotencyKeyOfARetriedJob(t *testing.T) {
	f := zoned(t, 2)
	build := text(t, "one\nfail host-2")
	f.push(3, build, "1", "--idempotency-key", "ci-7")
	first := f.status("web")
	f.push(3, build, "1", "--idempotency-key", "ci-7")
	if again := f.status("web"); again.Deploy != first.Deploy {
		t.Errorf("the job's second try made %s beside %s", again.Deploy, first.Deploy)
	}
	f.wantRuns("1", "1")
}

// A host that was off, one that is new, and one that was installed anew come to what
// their target says by themselves.
func TestHostsConverge(t *testing.T) {
	f := zoned(t, 3)
	f.push(0, text(t, "one"), "1")
	f.peers[0].stop()
	f.eventually(60*time.Second, "host-1 has left", func() error {
		if r := f.crow("hosts", "--output", "json"); !strings.Contains(r.stdout, `"left"`) {
			return errors.New(r.stdout)
		}
		return nil
	})
	f.push(0, text(t, "two"), "2")
	f.peers[1].kill()
	if err := os.RemoveAll(f.peers[1].data); err != nil {
		t.Fatal(err)
	}
	f.peers[0].start()
	f.peers[1].start()
	f.addPeer(peerConfig{app: hook(t, "", countingHook)})
	for _, p := range f.peers {
		f.eventually(60*time.Second, p.name+" runs 2", func() error {
			if p.live() != "2" {
				return fmt.Errorf("it runs %q: %s", p.live(), f.crow("status", "web").stdout)
			}
			return nil
		})
	}
	f.wantRuns("1 2", "2", "1 2", "2")
}

// Whoever of the seeder is killed, in any wave: the deploy goes on where it was, and
// nothing runs twice that succeeded.
func TestSeederIsKilledInEachWave(t *testing.T) {
	f := zoned(t, 4)
	done := f.background("push", text(t, "one"), "--app", "web", "--version", "1", "--target", "role=web",
		"--wave", "1,2,3,100%", "--wave-pause", "1s", "--timeout", "120s")
	for n := 1; n <= 3; n++ {
		f.eventually(60*time.Second, fmt.Sprintf("%d hosts are live", n), func() error {
			live := 0
			for _, p := range f.peers {
				if p.live() == "1" {
					live++
				}
			}
			if live < n {
				return fmt.Errorf("%d are", live)
			}
			return nil
		})
		f.seeder.kill()
		f.seeder.start()
	}
	if r := <-done; r.code != 0 {
		t.Fatalf("push: %+v", r)
	}
	f.wantRuns("1", "1", "1", "1")
}

func TestReleasesArePruned(t *testing.T) {
	f := zoned(t, 1)
	for i := range 4 {
		f.push(0, artifact(t, 1<<20), fmt.Sprint(i))
	}
	f.crow("deploy", "web@1", "--target", "role=web") // refused by the host, which runs a newer one: nothing changes
	if r := f.crow("releases", "prune", "web", "--keep", "2"); r.code != 0 {
		t.Fatalf("prune: %+v", r)
	}
	r := f.crow("releases", "web", "--output", "json")
	var left []control.Release
	if err := json.Unmarshal([]byte(r.stdout), &left); err != nil || len(left) != 2 || left[0].Version != "3" {
		t.Errorf("releases left: %+v, %v", r, err)
	}
	blobs, err := filepath.Glob(f.dir + "/seeder/blobs/*")
	if err != nil {
		t.Fatal(err)
	}
	if more, err := filepath.Glob(f.dir + "/seeder/*/blobs/*"); err == nil {
		blobs = append(blobs, more...)
	}
	if len(blobs) > 2 {
		t.Errorf("artifacts left: %v", blobs)
	}
}
