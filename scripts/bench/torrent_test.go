package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/anacrolix/torrent/metainfo"

	"crow/tracker"
)

func contextPair(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	return ctx, cancel
}

func testArtifact(t *testing.T, size int64) artifact {
	t.Helper()
	a, err := writeArtifact(filepath.Join(t.TempDir(), "build.bin"), size)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestArtifact(t *testing.T) {
	a := testArtifact(t, 3<<20+5)
	if info, err := os.Stat(a.path); err != nil || info.Size() != a.size {
		t.Fatal(info, err)
	}
	if err := a.check(a.path); err != nil {
		t.Error(err)
	}
	if err := os.Truncate(a.path, a.size-1); err != nil {
		t.Fatal(err)
	}
	if a.check(a.path) == nil || a.check(a.path+"x") == nil {
		t.Error("a wrong file passed")
	}
	if b := testArtifact(t, a.size); b.sum == a.sum {
		t.Error("two random files are the same")
	}
}

func TestMakeTorrent(t *testing.T) {
	a := testArtifact(t, 1<<20+1)
	made, err := makeTorrent(filepath.Join(t.TempDir(), "a.torrent"), a, 256<<10)
	if err != nil {
		t.Fatal(err)
	}
	mi, err := metainfo.LoadFromFile(made.path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := mi.UnmarshalInfo()
	if err != nil || info.NumPieces() != 5 || info.Name != "build.bin" || info.Length != a.size || !info.HasV1() {
		t.Errorf("%+v, %v", info, err)
	}
	if mi.HashInfoBytes() != made.hash || mi.Announce != "http://10.77.0.1:7404/announce" {
		t.Errorf("%s at %s", mi.HashInfoBytes(), mi.Announce)
	}
}

// crow's tracker serves a v1 torrent that is registered by its padded infohash.
func TestTrackerServesV1(t *testing.T) {
	tr, err := tracker.New(tracker.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	hash := metainfo.Hash([]byte("a v1 infohash of 20."))
	tr.Register(padded(hash))
	srv := httptest.NewServer(tr.Handler())
	defer srv.Close()
	q := url.Values{"info_hash": {string(hash[:])}, "peer_id": {strings.Repeat("p", 20)}, "port": {"51413"}, "left": {"0"}}
	ctx := context.Background()
	counts := func() int {
		seeds, err := scrape(ctx, srv.Client(), srv.URL+tracker.PathScrape+"?"+q.Encode(), hash)
		if err != nil {
			t.Fatal(err)
		}
		return seeds
	}
	if counts() != 0 {
		t.Error("a seed before any announced")
	}
	res, err := srv.Client().Get(srv.URL + tracker.PathAnnounce + "?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if counts() != 1 {
		t.Error("the seed is not counted")
	}
}

func TestAria2Uploaded(t *testing.T) {
	for body, want := range map[string]int64{
		`{"id":"bench","jsonrpc":"2.0","result":[{"uploadLength":"26214400"}]}`: 26214400,
		`{"id":"bench","jsonrpc":"2.0","result":[]}`:                            -1,
		`{"id":"bench","error":{"code":1}}`:                                     -1,
		`no`:                                                                    -1,
	} {
		rt := roundTrip(func(*http.Request) *http.Response {
			rec := httptest.NewRecorder()
			rec.WriteString(body)
			return rec.Result()
		})
		got, err := aria2Uploaded(context.Background(), &http.Client{Transport: rt}, "10.77.0.2")
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%s: got %d, %v", body, got, err)
		}
	}
}

type roundTrip func(*http.Request) *http.Response

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r), nil }

// The two ends of plain HTTP move the file and mark the end.
func TestRoles(t *testing.T) {
	a := testArtifact(t, 1<<20)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		http.ServeFile(w, r, a.path)
	}))
	defer srv.Close()
	defer http.DefaultClient.CloseIdleConnections()
	path, mark := filepath.Join(t.TempDir(), "got"), filepath.Join(t.TempDir(), "mark")
	told, cancel := contextPair(t)
	ended := make(chan error, 1)
	go func() { ended <- fetchFile(told, []string{srv.URL + "/", path, mark}) }()
	s := stage{}
	if err := s.eventually(context.Background(), func() error { _, err := os.Stat(mark); return err }); err != nil {
		t.Fatal(err)
	}
	if err := a.check(path); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := download(context.Background(), srv.URL+"/none", path); err == nil {
		t.Error("a missing file was downloaded")
	}
	if _, ok := playRole([]string{"--hosts", "3"}); ok {
		t.Error("flags were taken for a role")
	}
}
