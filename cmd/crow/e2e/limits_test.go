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
	f.eventually(30*time.Second, fmt.Sprintf("the download of %s is %d by its %s", host, rate, from), func() error {
		l := f.limits("--target", "name="+host).Hosts[0]
		if l.Pending || l.Download == nil || *l.Download != (control.Limit{Rate: rate, From: from}) {
			return fmt.Errorf("%+v, download %+v", l, l.Download)
		}
		return nil
	})
}

// TestLimitIsLiftedInMidTransfer holds one host of two back until it has an eighth of a
// build and the other one all, which does not wait for what the slow one has. Then it
// lets it go.
func TestLimitIsLiftedInMidTransfer(t *testing.T) {
	const size, rate = 24 << 20, 1 << 20
	f := startSeeder(t, "")
	f.addPeer(peerConfig{extra: "limits: {download: 1MiB/s}"})
	f.addPeer(peerConfig{})
	f.awaitHosts(2)
	f.awaitDownload("host-1", rate, control.LimitConfig)
	began := time.Now() // before the push: however slow that is, the limit holds from its end
	f.push(0, artifact(t, size), "1", "--detach")
	var has int64
	f.eventually(60*time.Second, "host-2 is active, and host-1 has 3 MiB", func() error {
		s := f.status("web")
		slow, free := host(t, s, "host-1"), host(t, s, "host-2")
		if slow.Phase > release.Fetching {
			t.Fatalf("host-1 is %s after %s, host-2 is %s: nothing held it back", slow.Phase, time.Since(began), free.Phase)
		}
		if has = slow.Bytes.Useful(); has < 3<<20 || free.Phase != release.Active {
			return fmt.Errorf("%+v, %+v", slow, free)
		}
		return nil
	})
	held := time.Since(began)
	f.limits("--target", "name=host-1", "--download", "none")
	lifted := time.Now()
	if r := f.crow("status", "web", "--watch", "--timeout", "60s"); r.code != 0 {
		t.Fatalf("exit %d: %s%s", r.code, r.stdout, r.stderr)
	}
	rest := time.Since(lifted)
	slow := host(t, f.status("web"), "host-1").FetchSeconds
	t.Logf("%d bytes took %s, the rest %s; host-1 fetched for %.1fs", has, held, rest, slow)
	atRate := func(bytes int64) time.Duration { return time.Duration(bytes) * time.Second / rate }
	if held < atRate(has)*2/3 || slow < atRate(has).Seconds()*2/3 {
		t.Errorf("%d bytes took %s at %d bytes/s; host-1 fetched for %.1fs", has, held, rate, slow)
	}
	if rest > atRate(size-has)*2/3 {
		t.Errorf("without a limit the rest took %s", rest)
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
	f.push(0, artifact(t, 24<<20), "2")
	if took := host(t, f.status("web"), "host-1").FetchSeconds; took > 8 { // 12 s with the limit
		t.Errorf("after the reset 24 MiB took %.1fs", took)
	}
}
