package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// goBackUnderLoad rolls an app back while three others are pushed to the same hosts,
// for which the seeder's link is the bottleneck until the way back is over.
func (h hands) goBackUnderLoad() {
	for _, v := range []string{"1", "2"} {
		h.must(pushOf("img", v, artifact(h.t, 1<<20))...)
	}
	h.limits("seeder", "--upload", "1MiB/s")
	defer h.limits("seeder", "--reset")
	loads := map[string]<-chan result{}
	for _, app := range []string{"web", "api", "db"} {
		loads[app] = h.background(pushOf(app, "100", artifact(h.t, 12<<20))...)
	}
	for app := range loads {
		h.eventually(60*time.Second, app+" is being fetched", func() error {
			r := h.crow("status", app, "--output", "json")
			if r.code != 0 {
				return errors.New(r.stderr)
			}
			if s := h.status(app); s.Version != "100" || host(h.t, s, "host-1").Bytes.Received() == 0 {
				return fmt.Errorf("%s: %+v", s.Version, s.Hosts)
			}
			return nil
		})
	}
	began := time.Now()
	h.must("rollback", "img", "--wave", "1,100%", "--timeout", "60s")
	h.t.Logf("the rollback took %s", time.Since(began))
	for app := range loads {
		if s := h.status(app); s.Phase != release.DeployRunning {
			h.t.Errorf("%s is %s after the rollback: it was no load", app, s.Phase)
		}
	}
	h.limits("seeder", "--reset")
	h.wantAll("img", "1")
	for _, row := range h.status("img").Hosts {
		if row.Phase != release.Active || row.Bytes.Received() != 0 {
			h.t.Errorf("%s went back with %d bytes, and is %s: %s", row.Name, row.Bytes.Received(), row.Phase, row.Reason)
		}
	}
	for app, done := range loads {
		wantEnd(h.t, <-done, 0, app+"@100 succeeded")
		h.wantAll(app, "100")
	}
	for _, p := range h.peers {
		if got := h.journal.ran(p.name, "img"); got != "1 2 1" {
			h.t.Errorf("%s: the hook ran for %q", p.name, got)
		}
	}
}

// wipe is what a new installation does to a host: its name and certificate stay.
func (d *daemon) wipe(t *testing.T) {
	t.Helper()
	d.kill()
	if err := os.RemoveAll(d.data); err != nil {
		t.Fatal(err)
	}
	d.start()
}

// reinstall wipes hosts in the middle of their fetch, when they wait for their wave,
// when they are live and others wait, and when the deploy is over.
func (h hands) reinstall() {
	h.limits("seeder", "--upload", "6MiB/s")
	defer h.limits("seeder", "--reset")
	build := artifact(h.t, 12<<20)
	done := h.background(pushOf("db", "200", build, "--wave", "1,3,100%", "--wave-pause", "5s")...)
	h.eventually(60*time.Second, "host-2 fetches", func() error {
		if s := h.status("db"); s.Version != "200" || host(h.t, s, "host-2").Bytes.Received() < 1<<20 {
			return fmt.Errorf("%s: %+v", s.Version, s.Hosts)
		}
		return nil
	})
	h.peers[1].wipe(h.t)
	var waves [4][]*daemon
	h.eventually(60*time.Second, "the first wave is live", func() error {
		s := h.status("db")
		if s.Waves[0].State != control.WaveEnded {
			return fmt.Errorf("it waits for %s", s.WaitsFor)
		}
		waves = [4][]*daemon{}
		for _, p := range h.peers {
			wave := host(h.t, s, p.name).Wave
			waves[wave] = append(waves[wave], p)
		}
		return nil
	})
	h.journal.wantNoOverlap() // no hook is at work, of which the host would know nothing
	waves[1][0].wipe(h.t)
	waves[3][0].wipe(h.t)
	wantEnd(h.t, <-done, 0, "db@200 succeeded: active on 4 of 4 hosts")
	h.wantAll("db", "200")
	h.journal.wantNoOverlap()
	waves[2][0].wipe(h.t)
	h.wantAll("db", "200")
	want := mustRead(h.t, build)
	for _, p := range h.peers {
		if mustRead(h.t, filepath.Join(p.data, "apps/db/current/artifact")) != want {
			h.t.Errorf("%s has other bytes", p.name)
		}
	}
	for _, app := range []string{"web", "api", "db", "img"} {
		h.wantNoDrift(app) // a host that is wiped has lost them all
	}
}

// wantNoDrift waits until every host is known to run what is wanted.
func (h hands) wantNoDrift(app string) {
	h.t.Helper()
	h.eventually(30*time.Second, "every host runs what is wanted of "+app, func() error {
		if r := h.must("status", app); !strings.Contains(r.stdout, "no drift: ") {
			return errors.New(r.stdout)
		}
		return nil
	})
}

// killAgents kills agents in their hooks and elsewhere, while two operators have one
// release after the other replaced. A hook outlives its agent: the next one has to wait
// for it.
func (h hands) killAgents() {
	until, pushed := time.Now().Add(6*time.Second), make(chan int, 1)
	go func() {
		defer close(pushed) // a Fatal ends the goroutine before it sends
		pushed <- h.pushUntil(until)
	}()
	kills := 0
	for ; time.Now().Before(until); kills++ {
		p := h.peers[rand.IntN(len(h.peers))]
		p.kill()
		p.start()
		<-time.After(time.Duration(rand.IntN(400)) * time.Millisecond)
	}
	next := <-pushed
	h.awaitHosts(len(h.peers))
	h.must(pushOf("web", fmt.Sprint(next), text(h.t, "the last"))...)
	h.wantAll("web", fmt.Sprint(next))
	h.wantNoDrift("web")
	h.t.Logf("%d kills, and releases up to %d", kills, next)
}

// pushUntil has two operators push in turns, and returns the next version.
func (h hands) pushUntil(end time.Time) (next int) {
	ann, bob := h.operators()
	for next = 1000; time.Now().Before(end); next++ {
		o := []operator{ann, bob}[next%2]
		if r := o.crow(pushOf("web", fmt.Sprint(next), text(h.t, fmt.Sprint(next)), "--detach")...); r.code != 0 {
			h.t.Errorf("%s pushes %d: %+v", o.name, next, r)
		}
	}
	return next
}
