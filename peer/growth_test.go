package peer

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strings"
	"testing"

	"crow/internal/release"
)

// TestManyDeploysLeaveNothing looks for what grows with each deploy.
func TestManyDeploysLeaveNothing(t *testing.T) {
	const deploys = 200
	r := newRig(t)
	r.cfg.Apps["web"] = App{Keep: 2, Hook: []string{"/bin/true"}}
	r.start()
	deploy := func(i int) {
		g := r.goods(fmt.Sprint("build ", i))
		id := fmt.Sprint("d-", i)
		r.office.give(g.order(id, "web", fmt.Sprint(i)))
		r.office.await(t, id, release.Active)
	}
	for i := range 10 {
		deploy(i)
	}
	goroutines, files := runtime.NumGoroutine(), len(names(t, "/proc/self/fd"))
	for i := range deploys {
		deploy(10 + i)
	}
	eventually(t, "no more goroutines than before", func() bool { return runtime.NumGoroutine() <= goroutines+2 })
	eventually(t, "no more open files than before", func() bool { return len(names(t, "/proc/self/fd")) <= files+2 })
	eventually(t, "two releases", func() bool { return len(names(t, r.path("apps/web"))) == 3 })
	eventually(t, "their artifacts alone", func() bool { return len(names(t, r.path("cache"))) == 2 })
	if fi, err := os.Stat(r.path("state/docs/app/web")); err != nil || fi.Size() > 16<<10 {
		t.Errorf("the app's record: %v, %v", fi, err)
	}
}

func TestMetrics(t *testing.T) {
	r := newRig(t)
	r.cfg.MetricsListen = "127.0.0.1:0"
	g := r.goods("build")
	a := r.start()
	r.office.give(g.order("d-1", "web", "1"))
	r.office.await(t, "d-1", release.Active)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(path string) string {
		res, err := client.Get("http://" + a.metrics.Addr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatal(res.Status, err)
		}
		return string(b)
	}
	get("/healthz")
	for _, want := range []string{
		`crow_build_info{version="test"} 1`, "crow_peer_seeder_connected 1", `crow_peer_jobs_total{phase="active"} 1`,
		`crow_peer_artifact_bytes_total{source="seeder"} 5`, "process_open_fds",
	} {
		eventually(t, want, func() bool { return strings.Contains(get("/metrics"), want) })
	}
}
