package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// marked writes a build of so many bytes whose first lines are words for the hooks.
func marked(t *testing.T, size int, words ...string) string {
	t.Helper()
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), byte(rand.IntN(256)), byte(rand.IntN(256))}).Read(b)
	copy(b, strings.Join(words, "\n")+"\n\n\n\n\n\n")
	path := filepath.Join(t.TempDir(), "build.bin")
	write(t, path, string(b), 0o644)
	return path
}

// tmpfs mounts a file system of that size.
func tmpfs(t *testing.T, size string) (dir string) {
	t.Helper()
	needRoot(t, "mounts a tmpfs")
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// troubled is a large fleet with what goes wrong in one.
type troubled struct {
	*fleet
	journal *journal
	full    string // the host whose disk is too small for any build
	slow    []int  // hosts with slow links, for their cables to be pulled in a fetch
	waves   []string
	waveOf  map[string]int
	members [][]string // of each wave
}

const troubledHosts = 48

func startTroubled(t *testing.T) *troubled {
	t.Helper()
	f := &troubled{
		fleet: startNamespacedSeeder(t, troubledHosts), journal: newJournal(t),
		slow: []int{7, 19, 30, 41}, waves: []string{"--wave", "1,10%,100%"},
	}
	c := peerConfig{app: f.journal.app("0", f.journal.check())}
	for i := 1; i < troubledHosts; i++ {
		c.extra, c.labels = "", ""
		if slices.Contains(f.slow, i) {
			c.extra, c.labels = "limits: {download: 100KiB/s}", "{role: web, link: slow}"
		}
		f.addPeer(c)
	}
	c.data, c.extra, c.labels = tmpfs(t, "2m"), "", ""
	f.full = f.addPeer(c).name
	f.awaitHosts(troubledHosts)
	f.plan()
	return f
}

// plan asks in which wave each host is, so that the trouble can be where it is wanted.
func (f *troubled) plan() {
	f.t.Helper()
	f.push(0, text(f.t, "any"), "0", "--fetch-only")
	r := f.crow(append([]string{"deploy", "web@0", "--dry-run", "--output", "json"}, f.waves...)...)
	var p control.DeployPlan
	if err := json.Unmarshal([]byte(r.stdout), &p); err != nil || len(p.Hosts) != troubledHosts || len(p.Waves) != 3 {
		f.t.Fatalf("plan: %v: %+v", err, r)
	}
	f.waveOf, f.members = map[string]int{}, make([][]string, len(p.Waves))
	for _, h := range p.Hosts {
		f.waveOf[h.Name] = h.Wave
		if h.Name != f.full {
			f.members[h.Wave-1] = append(f.members[h.Wave-1], h.Name)
		}
	}
}

// pullCables cuts hosts off in the middle of their fetch, and mends their links some
// seconds later. Until then a limit keeps them from their end, of whatever speed the
// machine is.
func (f *troubled) pullCables(size int64, away time.Duration) {
	f.t.Helper()
	var s control.DeployStatus
	f.eventually(60*time.Second, "the slow hosts fetch", func() error {
		if s = f.status("web"); s.Artifact.Bytes != size {
			return fmt.Errorf("there is %s of %s", s.Deploy, s.Version)
		}
		for _, i := range f.slow {
			if h := host(f.t, s, fmt.Sprint("host-", i)); h.Bytes.Received() == 0 {
				return fmt.Errorf("%+v", h)
			}
		}
		return nil
	})
	for _, i := range f.slow {
		f.cut(i)
	}
	f.wantFetching(s, size)
	<-time.After(away)
	f.wantFetching(f.status("web"), size)
	for _, i := range f.slow {
		f.mend(i)
	}
	f.limits("--target", "link=slow", "--download", "none")
}

// wantFetching checks that the slow hosts are in the middle of their fetch.
func (f *troubled) wantFetching(s control.DeployStatus, size int64) {
	f.t.Helper()
	for _, i := range f.slow {
		h := host(f.t, s, fmt.Sprint("host-", i))
		f.t.Logf("%s is %s, and has %d bytes of %d", h.Name, h.Phase, h.Bytes.Received(), size)
		if h.Phase != release.Fetching || h.Bytes.Received() >= size {
			f.t.Errorf("%s is not cut off in the middle of its fetch", h.Name)
		}
	}
}

// wantRows checks how each host ended: failed, by how the reason begins, or else in the
// phase that is given for its wave.
func (f *troubled) wantRows(s control.DeployStatus, of [3]release.Phase, failed map[string]string) {
	f.t.Helper()
	if len(s.Hosts) != troubledHosts {
		f.t.Fatalf("%d hosts in the status of %s", len(s.Hosts), s.Deploy)
	}
	for _, h := range s.Hosts {
		want, why := of[f.waveOf[h.Name]-1], failed[h.Name]
		if why != "" {
			want = release.Failed
		}
		if h.Phase != want || h.Late || !strings.HasPrefix(h.Reason, why) || why == "" && h.Reason != "" {
			f.t.Errorf("%s of %s is %s: %q; want %s: %q", h.Name, s.Version, h.Phase, h.Reason, want, why)
		}
	}
}

// TestTroubleInALargeFleet deploys in waves to 48 hosts, each behind a link of its
// own, of which three fail in three different steps, and four lose their link in
// mid-fetch. Then it does so with fewer failures allowed than there are, and goes back.
func TestTroubleInALargeFleet(t *testing.T) {
	began := time.Now()
	f := startTroubled(t)
	t.Logf("the fleet is up after %s", time.Since(began))
	first := f.endWithinLimit()
	t.Logf("the first deploy ended after %s", time.Since(began))
	f.stopOverLimit()
	t.Logf("the second one was aborted after %s", time.Since(began))
	f.goBack(first)
	f.journal.wantNoOverlap()
	t.Logf("all was over after %s", time.Since(began))
}

// How the reasons of the three failures begin.
const (
	noRoom   = "fetch: disk full: need "
	refusing = "hook: exited with status 42"
	notWell  = "check: not healthy within 10s: exited with status 1 after "
)

// endWithinLimit has as many hosts fail as may, and all others come through.
func (f *troubled) endWithinLimit() control.DeployStatus {
	f.t.Helper()
	const size = 3 << 20
	broken, sick := f.members[1][0], f.members[2][3]
	build := marked(f.t, size, "fail "+broken, "sick "+sick)
	done := f.background(append(f.pushArgs(build, "1"), append(f.waves, "--max-failures", "3")...)...)
	f.pullCables(size, 6*time.Second)
	wantEnd(f.t, <-done, 0, "active on 45 of 48 hosts, 3 failed", f.full, broken, sick, "not well")
	s := f.status("web")
	if s.Phase != release.DeploySucceeded {
		f.t.Errorf("the deploy is %s: %s", s.Phase, s.Reason)
	}
	f.wantRows(s, [3]release.Phase{release.Active, release.Active, release.Active}, map[string]string{
		f.full: noRoom, broken: refusing, sick: notWell,
	})
	f.journal.wantInWaves("1", f.waveOf)
	return s
}

// stopOverLimit has two hosts fail where one may: the second one, in the second wave,
// stops the deploy.
func (f *troubled) stopOverLimit() {
	f.t.Helper()
	broken := f.members[1][1]
	build := marked(f.t, 3<<19, "fail "+broken, "sick "+f.members[2][4])
	r := f.push(3, build, "2", append(f.waves, "--max-failures", "1")...)
	wantEnd(f.t, r, 3, "paused", "2 of 48 hosts failed", "crow abort")
	s := f.status("web")
	if s.Phase != release.DeployPaused || s.PausedBy != control.PausedByFailures {
		f.t.Fatalf("the deploy is %s by %q: %s", s.Phase, s.PausedBy, s.Reason)
	}
	f.eventually(60*time.Second, "who has begun has ended, and the others have it staged", func() error {
		s = f.status(s.Deploy)
		for _, h := range s.Hosts {
			if h.Phase < release.Staged || h.Phase == release.Activating {
				return fmt.Errorf("%+v", h)
			}
		}
		return nil
	})
	f.wantSoFar(s, broken)
	if r := f.crow("abort", s.Deploy); r.code != 0 {
		f.t.Fatalf("abort: %+v", r)
	}
	if s = f.status(s.Deploy); s.Phase != release.DeployAborted {
		f.t.Errorf("after the abort it is %s", s.Phase)
	}
	f.wantSoFar(s, broken)
	f.journal.wantInWaves("2", f.waveOf)
}

// wantSoFar checks that nobody beyond the second wave went live. In that, who had not
// begun when the broken one failed has not since.
func (f *troubled) wantSoFar(s control.DeployStatus, broken string) {
	f.t.Helper()
	live := 1 // the broken one: its link leads to the release too
	for i, h := range s.Hosts {
		switch {
		case h.Phase == release.Active:
			live++
		case h.Phase == release.Staged && h.Wave == 2:
			s.Hosts[i].Phase = release.Active
		}
	}
	f.wantRows(s, [3]release.Phase{release.Active, release.Active, release.Staged}, map[string]string{f.full: noRoom, broken: refusing})
	f.wantLive("2", live)
}

// goBack rolls back to the release that a deploy brought.
func (f *troubled) goBack(first control.DeployStatus) {
	f.t.Helper()
	r := f.crow("rollback", "web", "--max-failures", "3", "--timeout", "90s")
	wantEnd(f.t, r, 0, "web@"+first.Version+" succeeded")
	s := f.status("web")
	if s.Version != first.Version || s.Phase != release.DeploySucceeded {
		f.t.Errorf("after the rollback it is %s of %s: %s", s.Phase, s.Version, s.Reason)
	}
	for i, h := range s.Hosts {
		if h.Phase != first.Hosts[i].Phase || h.Name != first.Hosts[i].Name || h.Bytes.Received() != 0 {
			f.t.Errorf("%s is %s after the rollback, with %d bytes: %s", h.Name, h.Phase, h.Bytes.Received(), h.Reason)
		}
	}
	f.wantLive("2", 0)
}

// wantLive checks how many hosts have a release as their live one.
func (f *troubled) wantLive(version string, want int) {
	f.t.Helper()
	var live []string
	for _, p := range f.peers {
		if p.live() == version {
			live = append(live, p.name)
		}
	}
	if len(live) != want {
		f.t.Errorf("%s is live on %d hosts, want %d: %q", version, len(live), want, live)
	}
}
