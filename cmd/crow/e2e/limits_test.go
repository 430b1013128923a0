package e2e

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// fleetLimits is crow limits --output json, as far as these tests read it.
type fleetLimits struct {
	Seeder *control.Limits `json:"seeder"`
	Hosts  []struct {
		Name     string         `json:"name"`
		Upload   *control.Limit `json:"upload"`
		Download *control.Limit `json:"download"`
		Pending  bool           `json:"pending"`
	} `json:"hosts"`
}

func (f *fleet) limits(args ...string) (l fleetLimits) {
	f.t.Helper()
	r := f.crow(append([]string{"limits", "--output", "json"}, args...)...)
	if err := json.Unmarshal([]byte(r.stdout), &l); err != nil || r.code != 0 {
		f.t.Fatalf("limits %q: %v\nexit %d, stdout: %s\nstderr: %s", args, err, r.code, r.stdout, r.stderr)
	}
	return l
}

// awaitDownload waits until a host says that a download limit is in effect.
func (f *fleet) awaitDownload(host string, rate int64, from control.LimitSource) {
	f.t.Helper()
	f.eventually(10*time.Second, fmt.Sprintf("the download of %s is %d by its %s", host, rate, from), func() error {
		l := f.limits("--target", "name="+host).Hosts[0]
		if l.Pending || l.Download == nil || *l.Download != (control.Limit{Rate: rate, From: from}) {
			return fmt.Errorf("%+v, download %+v", l, l.Download)
		}
		return nil
	})
}

// TestLimitIsLiftedInMidTransfer holds one host of two back, for 24 MiB twelve
// seconds at 2 MiB/s, and lets it go when it has a fifth. The other one is done by
// then: it does not wait for what the slow one has.
func TestLimitIsLiftedInMidTransfer(t *testing.T) {
	f := startSeeder(t, "")
	f.addPeer(peerConfig{extra: "limits: {download: 2MiB/s}"})
	f.addPeer(peerConfig{})
	f.awaitHosts(2)
	f.awaitDownload("host-1", 2<<20, control.LimitConfig)
	f.push(0, artifact(t, 24<<20), "1", "--detach")
	began := time.Now()
	var held time.Duration
	f.eventually(30*time.Second, "host-1 has 5 MiB, and not all", func() error {
		h := host(t, f.status("web"), "host-1")
		if held = time.Since(began); h.Bytes.Useful() < 5<<20 {
			return fmt.Errorf("%+v", h)
		}
		if h.Phase != release.Fetching {
			t.Fatalf("host-1 is %s after %s: nothing held it back", h.Phase, held)
		}
		return nil
	})
	if held < 1500*time.Millisecond {
		t.Errorf("5 MiB at 2 MiB/s took %s", held)
	}
	f.limits("--target", "name=host-1", "--download", "none")
	lifted := time.Now()
	if r := f.crow("status", "web", "--watch", "--timeout", "60s"); r.code != 0 {
		t.Fatalf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	rest := time.Since(lifted)
	if rest > 6*time.Second { // 19 MiB at 2 MiB/s take 9.5 s
		t.Errorf("without a limit the rest took %s", rest)
	}
	s := f.status("web")
	slow, free := host(t, s, "host-1").FetchSeconds, host(t, s, "host-2").FetchSeconds
	t.Logf("5 MiB took %s, the rest %s; fetched in %.1fs, and in %.1fs on the other host", held, rest, slow, free)
	if slow < 1.5 || slow > 10 || free >= held.Seconds() {
		t.Errorf("host-1 fetched for %.1fs, host-2 for %.1fs", slow, free)
	}
	f.awaitDownload("host-1", 0, control.LimitOrder)
}

// TestLimitOutlivesKills orders limits for one host and the seeder, kills both, and
// sees them hold, the host's in the next transfer too. Then it takes them back.
func TestLimitOutlivesKills(t *testing.T) {
	f := startFleet(t, 2, peerConfig{})
	f.limits("--target", "name=host-1", "--download", "2MiB/s")
	f.limits("seeder", "--upload", "500MiB/s")
	f.awaitDownload("host-1", 2<<20, control.LimitOrder)
	f.seeder.kill()
	f.peers[0].kill()
	f.peers[0].start()
	f.seeder.start()
	f.awaitHosts(2)
	f.awaitDownload("host-1", 2<<20, control.LimitOrder)
	if own := f.limits().Seeder; own == nil || own.Upload != (control.Limit{Rate: 500 << 20, From: control.LimitOrder}) {
		t.Errorf("the seeder's limits are %+v", own)
	}
	f.push(0, artifact(t, 8<<20), "1")
	s := f.status("web")
	if slow, free := host(t, s, "host-1").FetchSeconds, host(t, s, "host-2").FetchSeconds; slow < 2.5 || free >= slow {
		t.Errorf("8 MiB at 2 MiB/s took %.1fs, and %.1fs on the other host", slow, free)
	}

	f.limits("--target", "role=web", "--reset")
	f.awaitDownload("host-1", 0, control.LimitConfig)
	f.push(0, artifact(t, 8<<20+1), "2")
	if took := host(t, f.status("web"), "host-1").FetchSeconds; took > 2.5 {
		t.Errorf("after the reset 8 MiB took %.1fs", took)
	}
}
