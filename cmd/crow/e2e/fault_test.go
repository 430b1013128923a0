package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// background starts a command of the CLI and returns a channel of its result.
func (f *fleet) background(args ...string) <-chan result {
	done := make(chan result, 1)
	go func() { done <- f.crow(args...) }()
	return done
}

func (f *fleet) pushInBackground(artifact, version string) <-chan result {
	return f.background(f.pushArgs(artifact, version)...)
}

func (f *fleet) pushArgs(artifact, version string) []string {
	return []string{"push", artifact, "--app", "web", "--version", version, "--target", "role=web", "--timeout", "2m"}
}

// received waits until a host has had so many bytes over the network.
func (f *fleet) received(name string, bytes int64) control.HostStatus {
	f.t.Helper()
	var h control.HostStatus
	f.eventually(60*time.Second, fmt.Sprintf("%s has %d bytes", name, bytes), func() error {
		if r := f.crow("status", "web", "--output", "json"); r.code != 0 {
			return fmt.Errorf("no status yet: %s", r.stderr)
		}
		if h = host(f.t, f.status("web"), name); h.Bytes.Received() < bytes {
			return fmt.Errorf("%+v", h)
		}
		return nil
	})
	return h
}

func TestKilledPeerResumes(t *testing.T) {
	f := startSeeder(t, "limits: {upload: 4MiB/s}")
	p := f.addPeer(peerConfig{})
	f.awaitHosts(1)
	const size = 64 << 20
	done := f.pushInBackground(artifact(t, size), "1")
	f.received(p.name, size/2)
	p.kill()
	p.start()
	f.limits("seeder", "--upload", "none")
	if r := <-done; r.code != 0 {
		t.Fatalf("push: %+v", r)
	}
	h := host(t, f.status("web"), p.name)
	// What the first life brought counts as brought, but for its last two seconds.
	if h.Bytes.Local > size*3/8 || h.Bytes.Useful() != size || h.Bytes.Wasted > size/10 {
		t.Errorf("bytes over the kill: %+v", h.Bytes)
	}
}

func TestSeederDiesWhenOneHostHasACopy(t *testing.T) {
	f := startSeeder(t, "")
	slow := "limits: {download: 2MiB/s}"
	f.addPeer(peerConfig{labels: "{role: web}"})
	for range 3 {
		f.addPeer(peerConfig{extra: slow})
	}
	f.awaitHosts(4)
	a := artifact(t, 16<<20)
	done := f.pushInBackground(a, "1")
	f.eventually(60*time.Second, "host-1 has a full copy", func() error {
		if f.peers[0].live() != "1" {
			return fmt.Errorf("live is %q", f.peers[0].live())
		}
		return nil
	})
	f.seeder.kill()
	for _, p := range f.peers[1:] {
		if p.live() == "1" {
			t.Fatalf("%s was done before the seeder died: the test shows nothing", p.name)
		}
	}
	for _, p := range f.peers[1:] {
		f.eventually(60*time.Second, p.name+" finishes without the seeder", func() error {
			if p.live() != "1" {
				return fmt.Errorf("live is %q", p.live())
			}
			return nil
		})
	}
	f.seeder.start()
	if r := <-done; r.code != 0 {
		t.Errorf("push, which saw the seeder die and return: %+v", r)
	}
	f.eventually(60*time.Second, "status tells the truth", func() error {
		s := f.status("web")
		if s.Phase != release.DeploySucceeded {
			return fmt.Errorf("%+v", s)
		}
		for _, h := range s.Hosts {
			if h.Phase != release.Active {
				return fmt.Errorf("%+v", h)
			}
		}
		return nil
	})
}

func TestSeederRestartKeepsEverything(t *testing.T) {
	f := startFleet(t, 2, peerConfig{})
	f.push(0, artifact(t, 4<<20), "1")
	before := f.status("web")
	f.seeder.kill()
	f.seeder.start()
	f.awaitHosts(2)
	after := f.status("web")
	if before.Deploy != after.Deploy || after.Phase != release.DeploySucceeded || len(after.Hosts) != 2 || after.Hosts[0].Bytes != before.Hosts[0].Bytes {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	f.addPeer(peerConfig{})
	f.awaitHosts(3)
	f.push(0, artifact(t, 1<<20), "2")
	for _, p := range f.peers {
		if p.live() != "2" {
			t.Errorf("%s runs %q", p.name, p.live())
		}
	}
}

func TestBadInput(t *testing.T) {
	f := startFleet(t, 1, peerConfig{})
	good := artifact(t, 1000)
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	write(t, empty, "", 0o644)
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o644); err != nil {
		t.Fatal(err)
	}
	push := func(args ...string) []string {
		return append([]string{"push", "--version", "1", "--target", "role=web"}, args...)
	}
	for name, c := range map[string]struct {
		args  []string
		code  int
		words []string
	}{
		"missing artifact":    {push("/no/such/build", "--app", "web"), 2, []string{"/no/such/build"}},
		"empty artifact":      {push(empty, "--app", "web"), 2, []string{"empty"}},
		"FIFO":                {push(fifo, "--app", "web"), 2, []string{fifo}},
		"FIFO in a directory": {push(dir, "--app", "web"), 2, []string{"fifo"}},
		"version ../x":        {[]string{"push", good, "--app", "web", "--version", "../x", "--target", "role=web"}, 2, []string{"../x"}},
		"app with spaces":     {push(good, "--app", "my app"), 2, []string{"my app"}},
		"no app":              {push(good), 2, []string{"app"}},
		"no host matches":     {[]string{"push", good, "--app", "web", "--version", "1", "--target", "role=db"}, 6, []string{"role=db"}},
		"bad target":          {[]string{"push", good, "--app", "web", "--version", "1", "--target", "web"}, 2, []string{"web"}},
		"unknown flag":        {push(good, "--app", "web", "--wave", "1"), 2, []string{"wave"}},
		"unknown command":     {[]string{"psuh"}, 2, []string{"psuh"}},
		"no such release":     {[]string{"deploy", "web@9", "--target", "role=web"}, 2, []string{"web@9"}},
		"no such deploy":      {[]string{"status", "d-nope"}, 2, []string{"d-nope"}},
	} {
		t.Run(name, func(t *testing.T) {
			wantLine(t, f.crow(c.args...), c.code, c.words...)
		})
	}
	wantLine(t, run(t, "--config", f.operator, "--seeder", "https://"+f.subnet+".250:7400", "push", good, "--app", "web", "--version", "1"), 8, f.subnet+".250:7400")
	t.Run("unreadable directory", func(t *testing.T) {
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o000); err != nil {
			t.Fatal(err)
		}
		if os.Geteuid() != 0 {
			wantLine(t, f.crow(push(locked, "--app", "web")...), 2, "locked")
			return
		}
		cmd := exec.Command(crow, append([]string{"--seeder", "http://" + f.subnet + ".1:7400"}, push(locked, "--app", "web")...)...) // the artifact is looked at first
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		for p := dir; p != "/tmp" && p != "/"; p = filepath.Dir(p) {
			os.Chmod(p, 0o755)
		}
		os.Chmod(filepath.Dir(crow), 0o755)
		out, _ := cmd.CombinedOutput()
		wantLine(t, result{code: cmd.ProcessState.ExitCode(), stderr: string(out)}, 2, "locked", "permission denied")
	})
	if left, _ := filepath.Glob(f.dir + "/seeder/store/blobs/*"); len(left) > 1 {
		t.Errorf("left behind in the store: %v", left)
	}
}

func TestBadConfig(t *testing.T) {
	f := startFleet(t, 1, peerConfig{})
	config, tls := mustRead(t, f.peers[0].config), f.own.tls("host-1")
	for name, c := range map[string]struct {
		role, config string
		code         int
		words        []string
	}{
		"unknown key":           {"peer", config + "\nlimts: {upload: 1MiB/s}\n", 2, []string{"limts"}},
		"unknown key inside":    {"peer", strings.Replace(config, "labels:", "limits: {uplaod: 1MiB/s}\nlabels:", 1), 2, []string{"uplaod"}},
		"port in use":           {"peer", strings.Replace(config, "/host-1\n", "/other\n", 1), 1, []string{"address already in use", f.peers[0].ip}},
		"data dir in use":       {"peer", strings.ReplaceAll(config, f.peers[0].ip, f.subnet+".99"), 1, []string{"host-1"}},
		"insecure":              {"peer", strings.NewReplacer("tls: "+tls, "tls: off", "https:", "http:", "swarm_listen: "+f.peers[0].ip, "swarm_listen: 0.0.0.0").Replace(config), 2, []string{"insecure"}},
		"relative hook":         {"peer", strings.Replace(config, "web: {}", "web: {hook: [deploy.sh]}", 1), 2, []string{"deploy.sh"}},
		"tls":                   {"peer", strings.Replace(config, "tls: "+tls, "tls: on", 1), 2, []string{"tls"}},
		"tls left out":          {"peer", strings.Replace(config, "tls: "+tls, "", 1), 2, []string{"tls: missing"}},
		"no such certificate":   {"peer", strings.Replace(config, "host-1.crt", "host-9.crt", 1), 2, []string{"host-9.crt"}},
		"another's certificate": {"peer", strings.Replace(config, tls, f.own.tls("ann"), 1), 2, []string{"operator"}},
		"http with tls":         {"peer", strings.Replace(config, "https:", "http:", 1), 2, []string{"https://"}},
		"no such key":           {"peer", strings.Replace(config, "trust: {keys: [", "trust: {keys: [RWx, ", 1), 2, []string{"trust"}},
		"threshold":             {"peer", strings.Replace(config, "trust: {", "trust: {threshold: 2, ", 1), 2, []string{"threshold"}},
		"no YAML":               {"seeder", "\t{", 2, nil},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "crow.yaml")
			write(t, path, c.config, 0o644)
			wantLine(t, run(t, c.role, "--config", path), c.code, append(c.words, "")...)
		})
	}
	wantLine(t, run(t, "peer", "--config", "/no/such.yaml"), 2, "/no/such.yaml")
}

func TestFullDiskOnOneHost(t *testing.T) {
	needRoot(t, "mounts a tmpfs")
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=8m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Unmount(small, syscall.MNT_DETACH) })
	f := startSeeder(t, "")
	f.addPeer(peerConfig{})
	full := f.addPeer(peerConfig{data: small})
	f.awaitHosts(2)
	r := f.push(3, artifact(t, 16<<20), "1")
	wantLine(t, r, 3, "host-2", "disk full")
	if left, _ := filepath.Glob(small + "/cache/*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if full.live() != "" || f.peers[0].live() != "1" {
		t.Errorf("live: %q and %q", full.live(), f.peers[0].live())
	}
	f.push(0, artifact(t, 1<<20), "2") // a build that fits is fine
}

func TestHostileArchive(t *testing.T) {
	f := startFleet(t, 2, peerConfig{app: "{unpack: true}"})
	dir := t.TempDir()
	write(t, dir+"/passwd", "root::0:0::/:/bin/sh\n", 0o644)
	evil := filepath.Join(dir, "evil.tar.gz")
	out, err := exec.Command("tar", "czf", evil, "-C", dir, "--transform", "s,^,../../etc/,", "-P", "passwd").CombinedOutput()
	if err != nil {
		t.Fatalf("tar: %v: %s", err, out)
	}
	r := f.push(3, evil, "1")
	wantLine(t, r, 3, "host-1", "host-2", "../../etc/passwd")
	for _, p := range f.peers {
		if p.live() != "" {
			t.Errorf("%s went live", p.name)
		}
		if left, _ := filepath.Glob(p.data + "/apps/web/*"); len(left) != 0 {
			t.Errorf("%s: left behind: %v", p.name, left)
		}
	}
}

func TestCorruptPartialAndCache(t *testing.T) {
	f := startSeeder(t, "limits: {upload: 3MiB/s}")
	p := f.addPeer(peerConfig{})
	f.awaitHosts(1)
	a := artifact(t, 32<<20)
	done := f.pushInBackground(a, "1")
	f.received(p.name, 6<<20)
	p.kill()
	for _, part := range globAll(t, p.data+"/cache") {
		damage(t, part)
	}
	p.start()
	f.limits("seeder", "--upload", "none")
	if r := <-done; r.code != 0 {
		t.Fatalf("push: %+v", r)
	}
	if mustRead(t, p.release("1")+"/artifact") != mustRead(t, a) {
		t.Fatal("damage on disk went live")
	}
}

// globAll lists a folder's files, hidden ones too.
func globAll(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, e := range entries {
		paths = append(paths, filepath.Join(dir, e.Name()))
	}
	return paths
}

// damage flips a byte in every 64 KiB of a file that is large enough to be an
// artifact.
func damage(t *testing.T, path string) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fi, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1)
	for at := int64(1000); at < fi.Size() && fi.Size() > 1<<20; at += 64 << 10 {
		if _, err := file.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0xff
		if _, err := file.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDamagedStore flips bytes in the running seeder's store: what is damaged is
// not passed on, and pushing the same build again mends it.
func TestDamagedStore(t *testing.T) {
	f := startFleet(t, 1, peerConfig{})
	a := artifact(t, 8<<20)
	f.push(0, a, "1")
	blobs := globAll(t, f.dir+"/seeder/store/blobs")
	if len(blobs) != 1 {
		t.Fatalf("blobs: %v", blobs)
	}
	if err := os.Chmod(blobs[0], 0o600); err != nil {
		t.Fatal(err)
	}
	damage(t, blobs[0])
	f.peers[0].stop() // it has a good copy: the next host must not be saved by it
	second := f.addPeer(peerConfig{labels: "{role: db}"})
	f.awaitHosts(1)
	wantLine(t, f.crow("deploy", "web@1", "--target", "role=db"), 7, "web@1", "damaged")
	r := f.crow("push", a, "--app", "web", "--version", "1", "--target", "role=db", "--timeout", "60s")
	if r.code != 0 || !strings.Contains(r.stderr, "damaged") {
		t.Fatalf("push of the same build: %+v", r)
	}
	if mustRead(t, second.release("1")+"/artifact") != mustRead(t, a) {
		t.Error("other bytes went live")
	}
}
