package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"crow/internal/control"
)

// debianPython has Debian's python3-libtorrent, whatever other Python comes
// first on the PATH.
const debianPython = "/usr/bin/python3"

const standard = "swarm_standard: true"

// oddSize is that of an artifact whose last piece is shorter than the others,
// and whose last block of 16 KiB, which standard clients request, is too.
const oddSize = 24<<20 + 12_345

// libtorrent is a client of others' making, in a process of its own.
type libtorrent struct {
	t      *testing.T
	dir    string // where it puts what it fetches
	output string // path
}

// standing is how far a libtorrent is, in bytes of payload.
type standing struct {
	Complete      bool
	Sent          int64
	Seeder, Hosts int64 // received from these; a little less than it was
}

func needLibtorrent(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(debianPython, "-c", "import libtorrent").CombinedOutput(); err != nil {
		t.Skipf("needs libtorrent for %s, of Debian's python3-libtorrent: %v: %s", debianPython, err, tail(out, 200))
	}
}

// startLibtorrent has a libtorrent join a torrent's swarm at an address of the
// fleet's.
func (f *fleet) startLibtorrent(torrent string, host int) *libtorrent {
	f.t.Helper()
	lt := &libtorrent{t: f.t, dir: f.t.TempDir(), output: filepath.Join(f.dir, "libtorrent.jsonl")}
	output, err := os.Create(lt.output)
	if err != nil {
		f.t.Fatal(err)
	}
	defer output.Close()
	cmd := exec.Command(debianPython, "testdata/libtorrent_client.py", torrent, lt.dir, fmt.Sprintf("%s.%d:6881", f.subnet, host))
	var errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = output, &errs
	life, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		life.Close()
		if err := cmd.Wait(); err != nil || f.t.Failed() {
			f.t.Errorf("libtorrent ended with %v: %s", err, tail(errs.Bytes(), 4000))
		}
	})
	return lt
}

// standing is the last whole line that it printed.
func (lt *libtorrent) standing() (s standing, err error) {
	b := []byte(mustRead(lt.t, lt.output))
	lines := bytes.Split(b[:bytes.LastIndexByte(b, '\n')+1], []byte("\n"))
	if len(lines) < 2 {
		return s, fmt.Errorf("it has said nothing yet")
	}
	return s, json.Unmarshal(lines[len(lines)-2], &s)
}

// finished waits until it has everything.
func (lt *libtorrent) finished(f *fleet) (s standing) {
	f.t.Helper()
	f.eventually(60*time.Second, "libtorrent is complete", func() (err error) {
		if s, err = lt.standing(); err == nil && !s.Complete {
			err = fmt.Errorf("%+v", s)
		}
		return err
	})
	return s
}

// torrent gets a release's torrent as its users do, and writes it to a file.
func (f *fleet) torrent(r control.Release) string {
	f.t.Helper()
	res, err := http.Get("http://" + f.seeder.ip + ":7400/v1/torrents/" + r.SHA256.String())
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		f.t.Fatalf("torrent: %s: %v: %s", res.Status, err, b)
	}
	path := filepath.Join(f.dir, "release.torrent")
	write(f.t, path, string(b), 0o644)
	return path
}

// TestStandardClient has Debian's libtorrent take part in a deploy: it knows
// nothing of crow but the torrent.
func TestStandardClient(t *testing.T) {
	needLibtorrent(t)
	f := startPlainSeeder(t, standard+"\nlimits: {upload: 4MiB/s}")
	hosts := []*daemon{f.addPeer(peerConfig{extra: standard}), f.addPeer(peerConfig{extra: standard})}
	f.awaitHosts(len(hosts))
	a := artifact(t, oddSize)
	done := f.pushInBackground(a, "1")
	f.received(hosts[0].name, 1)
	r := f.newest("web")
	lt := f.startLibtorrent(f.torrent(r), 100)
	if r := <-done; r.code != 0 {
		t.Fatalf("push: %+v", r)
	}

	s := lt.finished(f)
	t.Logf("libtorrent: %+v", s)
	if s.Seeder < r.PieceLength || s.Hosts < r.PieceLength {
		t.Errorf("libtorrent has %d bytes from the seeder and %d from hosts, want some from both", s.Seeder, s.Hosts)
	}
	if mustRead(t, filepath.Join(lt.dir, r.SHA256.String())) != mustRead(t, a) {
		t.Fatal("libtorrent has other bytes")
	}
	for _, h := range hosts {
		if mustRead(t, h.release("1")+"/artifact") != mustRead(t, a) {
			t.Errorf("%s has other bytes", h.name)
		}
	}

	// Now it is the only one that has the release.
	for _, h := range hosts {
		h.stop()
	}
	write(t, filepath.Join(f.dir, "seeder/store/blobs", r.SHA256.String()), "damaged", 0o644)
	late := f.addPeer(peerConfig{extra: standard})
	f.eventually(60*time.Second, "a new host has the release from libtorrent", func() error {
		if live := late.live(); live != "1" {
			return fmt.Errorf("live is %q", live)
		}
		return nil
	})
	if mustRead(t, late.release("1")+"/artifact") != mustRead(t, a) {
		t.Errorf("%s has other bytes", late.name)
	}
	f.eventually(30*time.Second, "the books of both sides agree", func() error {
		now, err := lt.standing()
		h := host(t, f.status("web"), late.name)
		if err != nil || h.Bytes.Peer != oddSize || h.Bytes.Received() != oddSize || now.Sent-s.Sent < oddSize {
			return fmt.Errorf("%s has %+v; libtorrent sent %d before and %d now: %w", h.Name, h.Bytes, s.Sent, now.Sent, err)
		}
		return nil
	})
}
