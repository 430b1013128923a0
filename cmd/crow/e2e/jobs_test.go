package e2e

import (
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// killJobs has a CI job killed at one moment after the other, each time tried again
// with its key.
func (h hands) killJobs() {
	stored := func(pattern string) func() int {
		return func() int {
			paths, _ := filepath.Glob(filepath.Join(h.dir, "seeder/store", pattern))
			return len(paths)
		}
	}
	uploads := func() int { return stored("tmp/blob-*")() + stored("blobs/*")() } // whose first part may be short
	begun := func() int { return len(h.journal.entries()) }
	after := func(more int, count func() int) (come func() bool) {
		want := count() + more
		return func() bool { return count() >= want }
	}
	moments := []struct {
		name string
		come func() bool
	}{
		{"an upload has begun", after(1, uploads)},
		{"the artifact is there", after(1, stored("blobs/*"))},
		{"the release is made", after(1, stored("docs/releases/*"))},
		{"the deploy is ordered", after(1, stored("docs/deploys/*"))},
		{"a hook runs", after(1, begun)},
		{"a second one does", after(3, begun)},
	}
	job := pushOf("api", "1", artifact(h.t, 24<<20), "--idempotency-key", "ci-1", "--wave", "1,2,100%")
	for _, m := range moments {
		h.killWhen(m.name, job, m.come)
	}
	h.wantOneDeploy("1", job)

	job = pushOf("api", "2", artifact(h.t, 6<<20), "--idempotency-key", "ci-2")
	for range 8 {
		end := time.Now().Add(time.Duration(rand.IntN(500)) * time.Millisecond)
		h.killWhen("", job, func() bool { return time.Now().After(end) })
	}
	h.wantOneDeploy("1 2", job)

	job = pushOf("api", "3", artifact(h.t, 6<<20), "--idempotency-key", "ci-3")
	h.wantOneDeploy("1 2 3", job) // a runner that was thought dead, and its successor
}

// killWhen begins a job and kills it when its time has come. Of one with a name it is
// an error to end before.
func (h hands) killWhen(moment string, job []string, come func() bool) {
	h.t.Helper()
	cmd := exec.Command(crow, append([]string{"--config", h.operator}, job...)...)
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() { cmd.Wait(); close(exited) }()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !come() {
		select {
		case <-exited:
			if moment != "" {
				h.t.Errorf("the job exits %d before %s", cmd.ProcessState.ExitCode(), moment)
			}
			return
		case <-tick.C:
		}
	}
	cmd.Process.Kill()
	<-exited
}

// wantOneDeploy lets a job come to its end, twice at once, and checks that all its
// tries made one deploy.
func (h hands) wantOneDeploy(ran string, job []string) {
	h.t.Helper()
	twin := h.background(job...)
	h.must(job...)
	wantEnd(h.t, <-twin, 0)
	h.must(job...)
	s := h.status("api")
	if s.Phase != release.DeploySucceeded {
		h.t.Errorf("the deploy is %s: %s", s.Phase, s.Reason)
	}
	deploys, ends := map[string]bool{}, 0
	for _, e := range h.history("api") {
		switch {
		case e.Version != s.Version, e.Action == control.ActionDeploy && e.Result != control.ResultOK: // it hung up too early
		case e.Action == control.ActionDeploy:
			deploys[e.Deploy] = true
		case e.Action == control.ActionEnded:
			ends++
		}
	}
	if len(deploys) != 1 || !deploys[s.Deploy] || ends != 1 {
		h.t.Errorf("the job made the deploys %v with %d ends, want %s alone", deploys, ends, s.Deploy)
	}
	for _, p := range h.peers {
		if got := h.journal.ran(p.name, "api"); got != ran {
			h.t.Errorf("%s: the hook ran for %q, want %q", p.name, got, ran)
		}
	}
}
