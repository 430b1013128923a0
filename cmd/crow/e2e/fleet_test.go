// Package e2e tests crow from outside: the built binary as a seeder and peers,
// each a process with an address of its own, driven by the command line.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"crow/internal/control"
)

// crow is the binary under test.
var crow string

func TestMain(m *testing.M) {
	if crow = os.Getenv("CROW_BINARY"); crow != "" {
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "crow-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	crow = filepath.Join(dir, "crow")
	build := exec.Command("go", "build", "-o", crow, "crow/cmd/crow")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(code)
}

// fleet is a seeder and its peers. Each fleet has a /24 of loopback addresses
// to itself, so every daemon has the ports of the documentation.
type fleet struct {
	t      *testing.T
	dir    string
	subnet string
	seeder *daemon
	peers  []*daemon

	daemons    []*daemon
	own        *credentials // nil: all is in the clear
	operator   string       // config of the operator's commands
	namespaces string       // prefix of the hosts' network namespaces; empty: loopback
}

// daemon is one crow process, which can be killed and started again.
type daemon struct {
	t      *testing.T
	name   string
	ip     string
	data   string
	config string
	log    string
	role   string
	wrap   []string // command that runs the daemon in its namespace
	cmd    *exec.Cmd
	exited chan error
	ending bool // SIGTERM was sent
}

// peerConfig is what a test may say of a peer; empty fields have defaults.
type peerConfig struct {
	app    string // the config of app web, in YAML flow style
	labels string // in YAML flow style
	data   string // data dir
	trust  string // in YAML flow style
	extra  string // more lines of config
}

// startSeeder starts a fleet that has no hosts yet.
func startSeeder(t *testing.T, extra string) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), subnet: randomSubnet(), own: newCredentials(t, "fleet")}
	f.startSeederDaemon(extra)
	return f
}

// startPlainSeeder starts a fleet without TLS and signatures.
func startPlainSeeder(t *testing.T, extra string) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), subnet: randomSubnet()}
	f.startSeederDaemon(extra)
	return f
}

// seederURL is where the control API is.
func (f *fleet) seederURL() string { return f.own.scheme() + "://" + f.subnet + ".1:7400" }

func randomSubnet() string { return fmt.Sprintf("127.%d.%d", 1+rand.IntN(254), rand.IntN(256)) }

func (f *fleet) startSeederDaemon(extra string) {
	f.t.Helper()
	f.seeder = f.newDaemon("seeder", "seeder", 1, fmt.Sprintf(`name: seeder
data_dir: %s
listen: %[2]s:7400
advertise: %[2]s
swarm_listen: %[2]s:7401
gossip_listen: %[2]s:7402
%[3]s%[4]s
`, f.dir+"/seeder", f.subnet+".1", f.own.daemonLines("seeder", "seeder", f.subnet+".1"), extra))
	if f.own != nil {
		f.operator = f.own.operator(f.seederURL())
	}
	f.seeder.start()
	f.eventually(60*time.Second, "the seeder answers", func() error {
		if r := f.crow("hosts"); r.code != 0 {
			return errors.New(r.stderr)
		}
		return nil
	})
}

// startFleet starts a seeder and n peers and waits until all are known.
func startFleet(t *testing.T, n int, c peerConfig) *fleet {
	t.Helper()
	f := startSeeder(t, "")
	for range n {
		f.addPeer(c)
	}
	f.awaitHosts(n)
	return f
}

// addPeer starts one more peer; host-1 is the first.
func (f *fleet) addPeer(c peerConfig) *daemon {
	f.t.Helper()
	i := len(f.peers) + 1
	name := fmt.Sprintf("host-%d", i)
	if c.app == "" {
		c.app = "{}"
	}
	if c.labels == "" {
		c.labels = "{role: web}"
	}
	if c.data == "" {
		c.data = filepath.Join(f.dir, name)
	}
	ip := fmt.Sprintf("%s.%d", f.subnet, i+1)
	d := f.newDaemon("peer", name, i+1, fmt.Sprintf(`name: %s
data_dir: %s
advertise: %[3]s
seeders: ["%[8]s"]
swarm_listen: %[3]s:7401
gossip_listen: %[3]s:7402
gossip_join: ["%[4]s:7402"]
%[9]sdisk_margin: 1MiB
labels: %[5]s
apps:
  web: %[6]s
%[7]s
`, name, c.data, ip, f.subnet+".1", c.labels, c.app, c.extra, f.seederURL(),
		f.own.daemonLines("peer", name, ip)+f.own.trustLine(c.trust)))
	d.data = c.data
	d.start()
	f.peers = append(f.peers, d)
	return d
}

func (f *fleet) newDaemon(role, name string, host int, config string) *daemon {
	d := &daemon{
		t: f.t, name: name, role: role, ip: fmt.Sprintf("%s.%d", f.subnet, host),
		config: filepath.Join(f.dir, name+".yaml"), log: filepath.Join(f.dir, name+".log"), wrap: f.inside(host - 1),
	}
	write(f.t, d.config, config, 0o644)
	f.daemons = append(f.daemons, d)
	f.t.Cleanup(func() {
		for _, other := range f.daemons {
			other.terminate() // all at once: each takes a second to say goodbye
		}
		d.stop()
		if f.t.Failed() {
			b, _ := os.ReadFile(d.log)
			f.t.Logf("log of %s:\n%s", d.name, tail(b, 4000))
		}
	})
	return d
}

func (d *daemon) start() {
	d.t.Helper()
	log, err := os.OpenFile(d.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		d.t.Fatal(err)
	}
	defer log.Close()
	command := append(slices.Clone(d.wrap), crow, d.role, "--config", d.config)
	d.cmd = exec.Command(command[0], command[1:]...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	if err := d.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.exited, d.ending = make(chan error, 1), false
	go func(cmd *exec.Cmd, exited chan error) { exited <- cmd.Wait() }(d.cmd, d.exited)
}

// kill is kill -9.
func (d *daemon) kill() {
	d.cmd.Process.Signal(syscall.SIGKILL)
	<-d.exited
	d.cmd = nil
}

// terminate sends SIGTERM, once: a second one ends a daemon at once.
func (d *daemon) terminate() {
	if d.cmd != nil && !d.ending {
		d.ending = true
		d.cmd.Process.Signal(syscall.SIGTERM)
	}
}

// stop is SIGTERM; a daemon that does not end by it fails the test.
func (d *daemon) stop() {
	d.t.Helper()
	if d.cmd == nil {
		return
	}
	d.terminate()
	select {
	case err := <-d.exited:
		if err != nil {
			d.t.Errorf("%s ended with %v", d.name, err)
		}
	case <-time.After(20 * time.Second):
		d.t.Errorf("%s did not end within 20 s of SIGTERM", d.name)
		d.cmd.Process.Signal(syscall.SIGKILL)
		<-d.exited
	}
	d.cmd = nil
}

// result is how a command of the CLI ended.
type result struct {
	code           int
	stdout, stderr string
}

// crow runs the CLI against the fleet's seeder.
func (f *fleet) crow(args ...string) result {
	f.t.Helper()
	command := append(f.inside(0), crow)
	if f.own != nil {
		command = append(command, "--config", f.operator)
	} else {
		command = append(command, "--seeder", f.seederURL())
	}
	return runCommand(append(command, args...))
}

// inside is the command that runs another in a host's namespace; the seeder is
// host 0.
func (f *fleet) inside(host int) []string {
	if f.namespaces == "" {
		return nil
	}
	return []string{"ip", "netns", "exec", fmt.Sprint(f.namespaces, host)}
}

func run(t *testing.T, args ...string) result {
	t.Helper()
	return runCommand(append([]string{crow}, args...))
}

// runCommand runs one to its end. A command that cannot be started exits -1, which no
// test wants: it may run in a goroutine, where a Fatal would leave its result unsent.
func runCommand(command []string) result {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{-1, out.String(), errs.String() + err.Error()}
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// push pushes an artifact as a version of app web to all web hosts and checks
// the exit code.
func (f *fleet) push(wantCode int, artifact, version string, flags ...string) result {
	f.t.Helper()
	args := append([]string{"push", artifact, "--app", "web", "--version", version, "--target", "role=web", "--timeout", "90s"}, flags...)
	r := f.crow(args...)
	if r.code != wantCode {
		f.t.Fatalf("push exits %d, want %d\nstdout: %s\nstderr: %s", r.code, wantCode, r.stdout, r.stderr)
	}
	return r
}

// status is crow status APP|DEPLOY --output json.
func (f *fleet) status(what string) control.DeployStatus {
	f.t.Helper()
	r := f.crow("status", what, "--output", "json")
	var s control.DeployStatus
	if err := json.Unmarshal([]byte(r.stdout), &s); err != nil {
		f.t.Fatalf("status %s: %v\nexit %d, stdout: %s\nstderr: %s", what, err, r.code, r.stdout, r.stderr)
	}
	return s
}

// host returns a host's row of a status.
func host(t *testing.T, s control.DeployStatus, name string) control.HostStatus {
	t.Helper()
	for _, h := range s.Hosts {
		if h.Name == name {
			return h
		}
	}
	t.Fatalf("no host %s in the status: %+v", name, s)
	return control.HostStatus{}
}

func (f *fleet) awaitHosts(n int) {
	f.t.Helper()
	f.eventually(60*time.Second, fmt.Sprintf("%d hosts are alive", n), func() error {
		r := f.crow("hosts", "--output", "json")
		var hosts []control.Host
		if err := json.Unmarshal([]byte(r.stdout), &hosts); err != nil {
			return fmt.Errorf("%w: %s %s", err, r.stdout, r.stderr)
		}
		alive := 0
		for _, h := range hosts {
			if h.State == control.HostAlive {
				alive++
			}
		}
		if alive != n {
			return fmt.Errorf("%d alive: %s", alive, r.stdout)
		}
		return nil
	})
}

// eventually polls until check passes, and fails the test with its last error.
func (f *fleet) eventually(limit time.Duration, what string, check func() error) {
	f.t.Helper()
	var err error
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); time.Now().Before(end); <-tick.C {
		if err = check(); err == nil {
			return
		}
	}
	f.t.Fatalf("not within %s: %s: %v", limit, what, err)
}

// release is the folder of a staged release of app web on a host.
func (d *daemon) release(version string) string { return filepath.Join(d.data, "apps", "web", version) }

// live is the version that current leads to.
func (d *daemon) live() string {
	link, err := os.Readlink(filepath.Join(d.data, "apps", "web", "current"))
	if err != nil {
		return ""
	}
	return filepath.Base(link)
}

// hook writes a deploy hook and returns the config of an app that runs it.
func hook(t *testing.T, more, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hook")
	write(t, path, "#!/bin/sh\n"+script, 0o755)
	if more != "" {
		more = ", " + more
	}
	return fmt.Sprintf("{hook: [%q]%s}", path, more)
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// artifact writes a file of random bytes.
func artifact(t *testing.T, size int) string {
	t.Helper()
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size), byte(size >> 8), byte(rand.IntN(256))}).Read(b)
	path := filepath.Join(t.TempDir(), "build.bin")
	write(t, path, string(b), 0o644)
	return path
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// wantLine checks that a failed command said what, where and why in one line.
func wantLine(t *testing.T, r result, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d; stdout: %s stderr: %s", r.code, code, r.stdout, r.stderr)
	}
	for _, w := range words {
		if !strings.Contains(r.stderr, w) {
			t.Errorf("stderr lacks %q: %s", w, r.stderr)
		}
	}
	if strings.Contains(r.stderr, "panic") || strings.Contains(r.stderr, "goroutine ") {
		t.Errorf("a panic: %s", r.stderr)
	}
}

// wantEnd checks how a command that was followed to its end ended, and what it told.
func wantEnd(t *testing.T, r result, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d; stdout: %s stderr: %s", r.code, code, r.stdout, r.stderr)
	}
	for _, w := range words {
		if !strings.Contains(r.stdout+r.stderr, w) {
			t.Errorf("it does not tell %q; stdout: %s stderr: %s", w, r.stdout, r.stderr)
		}
	}
}

func needRoot(t *testing.T, what string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root: " + what)
	}
}

func openFiles(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
