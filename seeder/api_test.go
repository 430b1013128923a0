package seeder

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/build"
)

func TestPushToTheLastHost(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	a, b := r.agent("a", release.Labels{"role": "web"}), r.agent("b", release.Labels{"role": "web"})
	r.agent("c", release.Labels{"role": "db"})
	found := r.push("web", "1.0")
	s := r.deploy("web", "1.0", "role=web")
	if s.Phase != release.DeployRunning || len(s.Hosts) != 2 || s.Artifact.Bytes != 100_000 || !strings.HasPrefix(s.Deploy, "d-") {
		t.Fatalf("status is %+v", s)
	}
	torrent := must[[]byte](t)(r.client.Torrent(t.Context(), found.SHA256))
	want := must[[]byte](t)(build.WithTrackers(found.Torrent, r.api.trackers))
	if !bytes.Equal(torrent, want) || r.swarm.count() != 1 {
		t.Errorf("torrent is right: %t; %d torrents offered", bytes.Equal(torrent, want), r.swarm.count())
	}
	r.swarm.send(123)
	a.finish("web")
	b.finish("web")
	s = r.status("web")
	if s.Deploy != r.status(s.Deploy).Deploy || s.Phase != release.DeploySucceeded || s.Finished == nil || s.SeederBytesSent != 123 {
		t.Errorf("status is %+v", s)
	}
	if got := must[[]control.Host](t)(r.client.Hosts(t.Context(), []release.Expr{"role=db"})); len(got) != 1 || got[0].Name != "c" {
		t.Errorf("hosts are %+v", got)
	}
}

func TestReleaseNeverChanges(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	found := r.push("web", "1.0")
	again := must[control.Release](t)(r.create("web", "1.0", found.Blob))
	if !again.Existed || again.Counter != 1 {
		t.Errorf("the same again is %+v", again)
	}
	other := r.push("web", "2.0")
	_, err := r.create("web", "1.0", other.Blob)
	if e := wantCode(t, err, control.CodeRefused); !strings.Contains(e.Message, "release web@1.0 exists with other content") {
		t.Errorf("message is %q", e.Message)
	}
	for field, claim := range map[string]func(*control.Blob){
		"size":         func(b *control.Blob) { b.Size++ },
		"format":       func(b *control.Blob) { b.Format = release.FormatTar },
		"infohash":     func(b *control.Blob) { b.InfoHash[0]++ },
		"piece length": func(b *control.Blob) { b.PieceLength *= 2 },
	} {
		lie := found.Blob
		claim(&lie)
		for _, version := range []string{"1.0", "3.0"} {
			_, err := r.create("web", version, lie)
			if e := wantCode(t, err, control.CodeRefused); !strings.Contains(e.Message, field) {
				t.Errorf("a lie about the %s of %s: %q", field, version, e.Message)
			}
		}
	}
	_, unknown := artifact(t, "never sent", 10)
	_, err = r.create("web", "3.0", unknown.Blob)
	wantCode(t, err, control.CodeNotFound)
	if list := must[[]control.Release](t)(r.client.Releases(t.Context(), "web")); len(list) != 2 || list[0].Version != "2.0" {
		t.Errorf("releases are %+v", list)
	}
}

// files counts what the store holds outside of its documents.
func (r *rig) files() int {
	n := 0
	for _, folder := range []string{"blobs", "tmp", "docs/blobs", "docs/torrents"} {
		entries, err := os.ReadDir(filepath.Join(r.dir, folder))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			r.t.Fatal(err)
		}
		n += len(entries)
	}
	return n
}

func TestTruncatedUploadLeavesNothing(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	for _, head := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked"} {
		conn := must[net.Conn](t)(net.Dial("tcp", strings.TrimPrefix(r.url, "http://")))
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n3e8\r\n%s", control.PathBlobs, head, strings.Repeat("x", 100))
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		answer := must[[]byte](t)(io.ReadAll(conn))
		if !strings.HasPrefix(string(answer), "HTTP/1.1 400") || !strings.Contains(string(answer), "cut off") {
			t.Errorf("%s: answered %.300q", head, answer)
		}
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "nothing is left", func() bool { return r.files() == 0 })
	}
}

func TestUploadLimits(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	_, err := r.client.Upload(t.Context(), strings.NewReader(""))
	wantCode(t, err, control.CodeUsage)

	r.api.uploads.margin = math.MaxInt64 / 2 // of this disk, all is in reserve
	_, err = r.client.Upload(t.Context(), io.LimitReader(endless{}, 1<<30))
	if e := wantCode(t, err, control.CodeFull); !strings.Contains(e.Message, "disk is full") || !strings.Contains(e.Hint, "crow releases prune") {
		t.Errorf("message is %q, hint %q", e.Message, e.Hint)
	}
	if r.files() != 0 {
		t.Errorf("%d files are left", r.files())
	}
}

// TestDiskFillsWhileUploading sends more than the disk can take without having
// said so.
func TestDiskFillsWhileUploading(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	free := must[int64](t)(r.store.Free())
	r.api.uploads.margin = free - checkEvery/2 // full at the second look
	_, err := r.client.Upload(t.Context(), io.LimitReader(endless{}, 8*checkEvery))
	wantCode(t, err, control.CodeFull)
	eventually(t, "nothing is left", func() bool { return r.files() == 0 })
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestSameContentTwice(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	b, found := artifact(t, "x", 300_000)
	for range 2 {
		if got := must[control.Blob](t)(r.client.Upload(t.Context(), bytes.NewReader(b))); got != found.Blob {
			t.Errorf("the seeder found %+v, want %+v", got, found.Blob)
		}
	}
	if r.files() != 3 {
		t.Errorf("%d files, want blob, record and torrent", r.files())
	}
}

func TestOrphansAreRemoved(t *testing.T) {
	p := quickPace()
	p.sweep, p.orphan = 10*time.Millisecond, time.Millisecond
	r := newRig(t, t.TempDir(), p)
	b, _ := artifact(t, "x", 1000)
	must[control.Blob](t)(r.client.Upload(t.Context(), bytes.NewReader(b)))
	eventually(t, "an artifact without a release is removed", func() bool { return r.files() == 0 })

	p = quickPace()
	r = newRig(t, t.TempDir(), p)
	must[control.Blob](t)(r.client.Upload(t.Context(), bytes.NewReader(b)))
	found := r.push("web", "1")
	stray := filepath.Join(r.dir, "blobs", release.Digest{7}.String())
	if err := os.WriteFile(stray, b, 0o600); err != nil {
		t.Fatal(err)
	}
	again := newRig(t, r.killed(), p)
	if again.files() != 3 {
		t.Errorf("%d files after a restart, want the three of the release", again.files())
	}
	must[[]byte](t)(again.client.Torrent(t.Context(), found.SHA256))
}

func TestOrigin(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	found := r.push("web", "1.0")
	want, _ := artifact(t, "web1.0", 100_000)
	get := func(digest, span string) (int, string) {
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodGet, r.url+"/blobs/"+digest, nil))
		if span != "" {
			req.Header.Set("Range", span)
		}
		res := must[*http.Response](t)(http.DefaultClient.Do(req))
		defer res.Body.Close()
		return res.StatusCode, string(must[[]byte](t)(io.ReadAll(res.Body)))
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	if code, body := get(found.SHA256.String(), ""); code != 200 || body != string(want) {
		t.Errorf("whole: status %d, %d bytes", code, len(body))
	}
	if code, body := get(found.SHA256.String(), "bytes=10-19"); code != 206 || body != string(want[10:20]) {
		t.Errorf("range: status %d, %d bytes", code, len(body))
	}
	if code, _ := get(release.Digest{1}.String(), ""); code != 404 {
		t.Errorf("unknown digest: status %d", code)
	}
	if code, _ := get("..%2f..%2flock", ""); code != 400 {
		t.Errorf("no digest: status %d", code)
	}
}

// TestBadRequests tries what a client may get wrong; each is answered with a
// code and one line.
func TestBadRequests(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	r.agent("a", nil)
	hello := `"boot":"1","address":"127.0.0.1"`
	for _, test := range []struct {
		method, path, body string
		want               int
		says               string
	}{
		{"POST", "/v1/releases", `{"manifest":{"app":"we b","version":"1"}}`, 400, "app"},
		{"POST", "/v1/releases", `{"manifest":{"app":"web","version":"../x"}}`, 400, "version"},
		{"POST", "/v1/releases", `{"manifest":{"app":"web","version":"1","colour":"red"}}`, 400, "colour"},
		{"POST", "/v1/releases", `{"manifest":{}} {}`, 400, "something follows"},
		{"POST", "/v1/releases", `{`, 400, "request"},
		{"POST", "/v1/releases/web/1/signatures", `{"signatures":["x"]}`, 404, "no release"},
		{"POST", "/v1/releases/web/..%2Fx/signatures", `{"signatures":["x"]}`, 400, "version"},
		{"POST", "/v1/releases/web/1/signatures", `{"signatures":[1]}`, 400, "signatures"},
		{"GET", "/v1/history?limit=0", "", 400, "limit"},
		{"GET", "/v1/history?limit=10001", "", 400, "limit"},
		{"GET", "/v1/history?app=we%20b", "", 400, "app"},
		{"POST", "/v1/releases", `{"app":"` + strings.Repeat("x", control.MaxBodyLen) + `"}`, 413, "over"},
		{"GET", "/v1/releases?app=a%20b", "", 400, "app"},
		{"POST", "/v1/deploys", `{"app":"web","version":"1","targets":["role"]}`, 400, "target"},
		{"POST", "/v1/deploys", `{"app":"web","version":"1","targets":["name=*"]}`, 404, "no release web@1"},
		{"GET", "/v1/deploys/web", "", 404, "web"},
		{"GET", "/v1/deploys/web?after=-1", "", 400, "after"},
		{"GET", "/v1/deploys/web?wait=soon", "", 400, "wait"},
		{"GET", "/v1/hosts?target=x", "", 400, "target"},
		{"PUT", "/v1/hosts/a%20b", `{` + hello + `}`, 400, "host name"},
		{"PUT", "/v1/hosts/b", `{"boot":"1","address":"nowhere"}`, 400, "address"},
		{"PUT", "/v1/hosts/b", `{"boot":"1","address":"0.0.0.0"}`, 400, "address"},
		{"PUT", "/v1/hosts/b", `{"boot":"","address":"127.0.0.1"}`, 400, "boot"},
		{"PUT", "/v1/hosts/b", `{` + hello + `,"labels":{"a b":"x"}}`, 400, "label"},
		{"PUT", "/v1/hosts/b", `{` + hello + `,"labels":{"a":"\u001b[2J"}}`, 400, "label"},
		{"PUT", "/v1/hosts/b", `{` + hello + `,"apps":["../x"]}`, 400, "app"},
		{"PUT", "/v1/hosts/b", `{"boot":"` + strings.Repeat("x", maxHelloLen) + `"}`, 413, "over"},
		{"GET", "/v1/orders?host=b", "", 404, "hello"},
		{"POST", "/v1/reports", `{"host":"b","boot":"1"}`, 404, "hello"},
		{"POST", "/v1/reports", `{"host":"a","boot":"boot-a","jobs":[{"app":"web","version":"1","phase":"asleep"}]}`, 400, "phase"},
		{"POST", "/v1/reports", `{"host":"a","boot":"boot-a","jobs":[{"app":"web","version":"1","phase":"active","bytes":{"peer":-1}}]}`, 400, "below zero"},
		{"POST", "/v1/reports", `{"host":"a","boot":"boot-a","jobs":[{"app":"web","version":"1","phase":"active","bytes":{"peer":9223372036854775807}}]}`, 400, "too large"},
		{"POST", "/v1/reports", `{"host":"a","boot":"boot-a","jobs":[{"app":"web","version":"1","phase":"active","fetch_seconds":1e308}]}`, 400, "too large"},
		{"POST", "/v1/reports", `{"host":"a","boot":"boot-a","running":{"../x":"1"}}`, 400, "app"},
		{"POST", "/v1/reports", `{"host":"a","boot":"boot-a","limits":{"upload":{"rate":-1,"from":"config"}}}`, 400, "upload"},
		{"POST", "/v1/reports", `{"host":"a","boot":"boot-a","limits":{"upload":{"rate":1,"from":"moon"}}}`, 400, "source"},
		{"POST", "/v1/limits", `{"targets":["name=a"],"upload":-1}`, 400, "upload: invalid rate -1"},
		{"POST", "/v1/limits", `{"targets":["name=a"],"upload":9223372036854775808}`, 400, "upload"},
		{"POST", "/v1/limits", `{"targets":["name=a"],"download":"fast"}`, 400, "download"},
		{"POST", "/v1/limits", `{"targets":["name=a"],"download":1.5}`, 400, "download"},
		{"POST", "/v1/limits", `{"targets":["name=a"],"speed":1}`, 400, "speed"},
		{"POST", "/v1/limits", `{"targets":["name=a"]}`, 400, "want an upload"},
		{"POST", "/v1/limits", `{"targets":["name=a"],"reset":true,"upload":1}`, 400, "reset goes without"},
		{"POST", "/v1/limits", `{"upload":1}`, 400, "no target"},
		{"POST", "/v1/limits", `{"targets":["name"],"upload":1}`, 400, "target"},
		{"POST", "/v1/limits", `{"targets":["name=b"],"upload":1}`, 409, "matches no host"},
		{"POST", "/v1/limits/seeder", `{"download":1}`, 400, "downloads nothing"},
		{"POST", "/v1/limits/seeder", `{"upload":-1}`, 400, "upload: invalid rate -1"},
		{"POST", "/v1/limits/seeder", `{}`, 400, "want an upload"},
		{"GET", "/v1/torrents/xyz", "", 400, "digest"},
		{"GET", "/v1/torrents/" + release.Digest{}.String(), "", 404, "not found"},
		{"DELETE", "/v1/releases", "", 404, "no such call"},
		{"GET", "/nothing", "", 404, "no such call"},
	} {
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), test.method, r.url+test.path, strings.NewReader(test.body)))
		req.Header.Set("Content-Type", "application/json; charset=utf-8")
		res := must[*http.Response](t)(http.DefaultClient.Do(req))
		body := string(must[[]byte](t)(io.ReadAll(res.Body)))
		res.Body.Close()
		if res.StatusCode != test.want || !strings.Contains(body, test.says) || !strings.Contains(body, `"error":{"code"`) {
			t.Errorf("%s %.60s %.60s: status %d, want %d: %.300s", test.method, test.path, test.body, res.StatusCode, test.want, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestMetrics(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	r.agent("a", nil).finishAfter(r.push("web", "1"), r)
	res := must[*http.Response](t)(http.Get(r.url + "/metrics"))
	body := string(must[[]byte](t)(io.ReadAll(res.Body)))
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	for _, line := range []string{
		`crow_hosts{state="alive"} 1`, `crow_hosts{state="left"} 0`, `crow_deploys{phase="succeeded"} 1`,
		`crow_api_requests_total{route="POST /v1/deploys",status="200"} 1`, `go_goroutines `, `process_open_fds `,
	} {
		if !strings.Contains(body, line) {
			t.Errorf("no %s in:\n%s", line, body)
		}
	}
}

// finishAfter deploys web@1 and plays the host to its end.
func (a *agent) finishAfter(_ build.Result, r *rig) {
	r.deploy("web", "1", "name=*")
	a.finish("web")
}

func TestStatusWaitsForNews(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	a := r.agent("a", nil)
	r.push("web", "1")
	s := r.deploy("web", "1", "name=*")
	news := make(chan control.DeployStatus)
	go func() {
		defer close(news)
		for s.Phase == release.DeployRunning && t.Context().Err() == nil {
			next, err := r.newClient().Status(t.Context(), s.Deploy, s.Revision, patience)
			if err != nil {
				t.Error(err)
				return
			}
			s = next
			news <- s
		}
	}()
	o := a.order("web")
	for _, p := range []release.Phase{release.Fetching, release.Staged, release.Active} {
		if err := a.report(o, p, ""); err != nil {
			t.Fatal(err)
		}
		for s := range news {
			if s.Hosts[0].Phase == p {
				break
			}
		}
	}
	if _, open := <-news; open {
		t.Error("there is news after the end")
	}
}

// TestPollsEndWithTheSeeder holds that a seeder with waiting hosts stops at once.
func TestPollsEndWithTheSeeder(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	a := r.agent("a", nil)
	first := must[control.Orders](t)(r.client.Orders(t.Context(), "a", "", 0, 0))
	ended, began := make(chan error, 1), time.Now()
	go func() {
		_, err := a.client.Orders(t.Context(), "a", first.Epoch, first.Revision, time.Minute)
		ended <- err
	}()
	eventually(t, "the poll waits", func() bool { return r.heardSince(began) == 1 })
	r.stop()
	if err := <-ended; err != nil && !errors.Is(err, control.ErrUnreachable) {
		t.Error(err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}

// heardSince is how many hosts were heard after some time: for hosts that only
// poll, how many wait since.
func (r *rig) heardSince(began time.Time) int {
	n, err := ask(r.t.Context(), r.ledger, func(b *books, _ time.Time) (int, error) {
		n := 0
		for _, h := range b.fleet.hosts {
			if h.LastSeen.After(began) {
				n++
			}
		}
		return n, nil
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// TestOtherSitesAreRefused sends what a web page can have a browser send that
// reaches the seeder.
func TestOtherSitesAreRefused(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	send := func(path string, headers ...string) int {
		req := must[*http.Request](t)(http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+path, strings.NewReader(`{"host":"b","boot":"1"}`)))
		for i := 0; i < len(headers); i += 2 {
			req.Header.Set(headers[i], headers[i+1])
		}
		res := must[*http.Response](t)(http.DefaultClient.Do(req))
		defer res.Body.Close()
		return res.StatusCode
	}
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	for _, path := range []string{control.PathBlobs, control.PathDeploys} {
		for _, foreign := range [][]string{{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}} {
			if got := send(path, foreign...); got != http.StatusForbidden {
				t.Errorf("%s with %s: status %d", path, foreign, got)
			}
		}
	}
	if got := send(control.PathBlobs, "Origin", r.url); got != http.StatusOK {
		t.Errorf("from the seeder's own page: status %d", got)
	}
	for _, form := range []string{"", "text/plain", "application/x-www-form-urlencoded"} {
		if got := send(control.PathReports, "Content-Type", form); got != http.StatusBadRequest {
			t.Errorf("a document that calls itself %q: status %d", form, got)
		}
	}
}

// TestAnswersHaveALength holds that a large answer is not sent in chunks.
func TestAnswersHaveALength(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	for i := range 50 {
		r.agent(fmt.Sprint("host-", i), nil)
	}
	res := must[*http.Response](t)(http.Get(r.url + control.PathHosts))
	body := must[[]byte](t)(io.ReadAll(res.Body))
	res.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if res.ContentLength != int64(len(body)) || len(body) < 4096 {
		t.Errorf("length %d of %d bytes", res.ContentLength, len(body))
	}
}

// What is not there, or cannot be read, is answered without where it would be.
func TestAnswersShowNoPaths(t *testing.T) {
	r := newRig(t, t.TempDir(), quickPace())
	found := r.push("web", "1")
	r.agent("a", nil)
	blob := r.store.BlobPath(found.SHA256)
	if err := errors.Join(os.Remove(blob), os.Mkdir(filepath.Join(r.dir, "docs", kindTorrent, release.Digest{2}.String()), 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/blobs/" + release.Digest{1}.String(), "", 404},
		{"GET", "/blobs/" + found.SHA256.String(), "", 404},
		{"GET", "/v1/torrents/" + release.Digest{1}.String(), "", 404},
		{"GET", "/v1/torrents/" + release.Digest{2}.String(), "", 500},
		{"POST", "/v1/deploys", `{"app":"web","version":"1","targets":["name=*"]}`, 500},
	} {
		code, answer := status(t, http.DefaultClient, c.method, r.url+c.path, c.body)
		if code != c.status || strings.Contains(answer, r.dir) || strings.Contains(answer, "/") {
			t.Errorf("%s %s: status %d, want %d: %s", c.method, c.path, code, c.status, answer)
		}
	}
}
