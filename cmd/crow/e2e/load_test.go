package e2e

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// metric reads a gauge from a daemon's /metrics.
func (f *fleet) metric(url, name string) float64 {
	f.t.Helper()
	client := f.client()
	defer client.CloseIdleConnections()
	res, err := client.Get(url + "/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				f.t.Fatal(err)
			}
			return n
		}
	}
	f.t.Fatalf("%s has no %s", url, name)
	return 0
}

// footprint is what a daemon takes of its machine.
type footprint struct {
	files      int
	goroutines int
	memory     int // KiB that are resident
	disk       int // KiB of its data dir
}

func (f *fleet) footprint(d *daemon) footprint {
	f.t.Helper()
	url, data := f.seederURL(), filepath.Join(f.dir, "seeder")
	if d != f.seeder {
		url, data = f.own.scheme()+"://"+d.ip+":7403", d.data
	}
	pid := d.cmd.Process.Pid
	return footprint{
		openFiles(f.t, pid), int(f.metric(url, "go_goroutines")), procStatus(f.t, pid, "VmRSS"), diskUse(f.t, data),
	}
}

// diskUse is what a folder's files take, in KiB.
func diskUse(t *testing.T, dir string) int {
	t.Helper()
	var blocks int64
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		var st syscall.Stat_t
		if err == nil {
			err = syscall.Lstat(path, &st)
		}
		if errors.Is(err, fs.ErrNotExist) { // a temporary file
			return nil
		}
		blocks += st.Blocks
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return int(blocks / 2)
}

// within reports whether a footprint has grown by no more than another one.
func (p footprint) within(before, more footprint) bool {
	return p.files <= before.files+more.files && p.goroutines <= before.goroutines+more.goroutines &&
		p.memory <= before.memory+more.memory && p.disk <= before.disk+more.disk
}

// TestManyDeploysLeaveNothing holds that deploys cost no goroutine, file or memory for
// ever, and disk only for the seeder's records of them.
func TestManyDeploysLeaveNothing(t *testing.T) {
	const deploys, warmUp, pruned = 150, 20, 10
	f := startSeeder(t, "")
	app := hook(t, "keep: 2", "exit 0")
	for i := range 2 {
		f.addPeer(peerConfig{app: app, extra: fmt.Sprintf("  api: %s\nmetrics_listen: %s.%d:7403", app, f.subnet, i+2)})
	}
	f.awaitHosts(2)
	before := map[*daemon]footprint{}
	for i := range deploys {
		if i == warmUp {
			for _, d := range f.daemons {
				before[d] = f.footprint(d)
			}
		}
		f.must(pushOf([]string{"web", "api"}[i%2], fmt.Sprint(i), artifact(t, 2000+i))...)
		if i%pruned == pruned-1 {
			f.must("releases", "prune", "--keep", "3")
		}
	}
	for _, d := range f.daemons {
		more := footprint{files: 10, goroutines: 10, memory: 12 << 10, disk: 128}
		if d == f.seeder {
			more.disk += 20 * (deploys - warmUp) // plan and result, and what the audit log says
		}
		var now footprint
		f.eventually(30*time.Second, d.name+" is as small as after the first deploys", func() error {
			if now = f.footprint(d); !now.within(before[d], more) {
				return fmt.Errorf("it takes %+v, took %+v", now, before[d])
			}
			return nil
		})
		t.Logf("%s took %+v, and takes %+v", d.name, before[d], now)
	}
}

// TestMemoryInTransfer moves an artifact several times larger than what the
// daemons may use.
func TestMemoryInTransfer(t *testing.T) {
	const most = 150 << 10 // KiB
	f := startFleet(t, 2, peerConfig{})
	f.push(0, artifact(t, 512<<20), "1", "--timeout", "170s")
	for _, d := range append(f.peers, f.seeder) {
		peak := procStatus(t, d.cmd.Process.Pid, "VmHWM")
		t.Logf("%s: peak memory %d MiB", d.name, peak>>10)
		if peak > most {
			t.Errorf("%s used %d MiB", d.name, peak>>10)
		}
	}
}

// procStatus reads a number of KiB from /proc/PID/status.
func procStatus(t *testing.T, pid int, key string) int {
	t.Helper()
	for line := range strings.Lines(mustRead(t, fmt.Sprintf("/proc/%d/status", pid))) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			n, err := strconv.Atoi(strings.Fields(value)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no %s", key)
	return 0
}

// TestIdlePeersCostNothing holds that an idle agent takes less than a hundredth
// of a core.
func TestIdlePeersCostNothing(t *testing.T) {
	const (
		peers = 20
		watch = 20 * time.Second
	)
	f := startFleet(t, peers, peerConfig{})
	f.push(0, artifact(t, 1<<20), "1") // idle after work, not before any
	before := make([]time.Duration, peers)
	for i, p := range f.peers {
		before[i] = cpuTime(t, p.cmd.Process.Pid)
	}
	<-time.After(watch)
	var worst time.Duration
	for i, p := range f.peers {
		worst = max(worst, cpuTime(t, p.cmd.Process.Pid)-before[i])
	}
	t.Logf("the busiest of %d idle peers took %.2f %% of a core", peers, 100*worst.Seconds()/watch.Seconds())
	if worst > watch/100 {
		t.Errorf("an idle peer took %s in %s", worst, watch)
	}
}

// cpuTime is what a process has used, user and system.
func cpuTime(t *testing.T, pid int) time.Duration {
	t.Helper()
	stat := mustRead(t, filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	fields := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	const utime, stime, tick = 11, 12, 10 * time.Millisecond // proc(5), after the name; USER_HZ is 100
	var ticks int
	for _, i := range []int{utime, stime} {
		n, err := strconv.Atoi(fields[i])
		if err != nil {
			t.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * tick
}

func TestTruncatedUploadLeavesNothing(t *testing.T) {
	f := startSeeder(t, "")
	blobs := func() []string {
		var all []string
		for _, dir := range []string{"blobs", "tmp"} {
			entries, _ := os.ReadDir(filepath.Join(f.dir, "seeder/store", dir))
			for _, e := range entries {
				all = append(all, e.Name())
			}
		}
		return all
	}
	body, w := io.Pipe()
	req, err := http.NewRequest(http.MethodPost, f.seederURL()+"/v1/blobs", body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 10 << 20
	go func() {
		w.Write(make([]byte, 3<<20))
		w.CloseWithError(io.ErrClosedPipe)
	}()
	if res, err := f.client().Do(req); err == nil {
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("a truncated upload was answered %s", res.Status)
		}
	}
	f.eventually(30*time.Second, "nothing is left of the upload", func() error {
		if left := blobs(); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}
