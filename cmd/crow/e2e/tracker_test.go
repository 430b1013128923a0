package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/pki"
)

// newest is an app's newest release.
func (f *fleet) newest(app string) control.Release {
	f.t.Helper()
	r := f.crow("releases", app, "--output", "json")
	var all []control.Release
	if err := json.Unmarshal([]byte(r.stdout), &all); err != nil || len(all) == 0 {
		f.t.Fatalf("releases: %v: %+v", err, r)
	}
	return all[0]
}

// scrape asks a tracker for a release's counts, in bencode.
func (f *fleet) scrape(ip string, r control.Release) string {
	f.t.Helper()
	res, err := f.client().Get("https://" + ip + ":7404/scrape?" + url.Values{"info_hash": {string(r.InfoHash[:20])}}.Encode())
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return string(b)
}

// TestTrackerAlone has the tracker in a process of its own, which forgets
// everything when it is killed.
func TestTrackerAlone(t *testing.T) {
	f := &fleet{t: t, dir: t.TempDir(), subnet: randomSubnet(), own: newCredentials(t, "fleet")}
	tracker := f.newDaemon("tracker", "tracker", 200, fmt.Sprintf("listen: %s.200:7404\ntls: %s\n", f.subnet, f.own.issue(pki.Request{Role: "tracker", Name: "tracker", Hosts: []string{f.subnet + ".200"}})))
	tracker.start()
	f.startSeederDaemon(fmt.Sprintf(`trackers: ["https://%s.200:7404/announce"]`, f.subnet))
	for range 3 {
		f.addPeer(peerConfig{})
	}
	f.awaitHosts(3)
	for _, version := range []string{"1", "2"} {
		if version == "2" {
			tracker.kill()
			tracker.start()
		}
		a := artifact(t, 16<<20)
		f.push(0, a, version)
		f.eventually(30*time.Second, "the tracker has heard that all hosts are done", func() error {
			if counts := f.scrape(tracker.ip, f.newest("web")); !strings.Contains(counts, "10:downloadedi3e") {
				return fmt.Errorf("it says %q", counts)
			}
			return nil
		})
		for _, p := range f.peers {
			if mustRead(t, p.release(version)+"/artifact") != mustRead(t, a) {
				t.Errorf("%s: other bytes", p.name)
			}
		}
	}
}
