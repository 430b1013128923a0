package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"crow/internal/control"
	"crow/internal/pki"
	"crow/internal/release"
	"crow/internal/signing"
)

// newSigner writes another signing key and returns the path of its secret half.
func (c *credentials) newSigner(name string) (path string, key signing.PrivateKey) {
	c.t.Helper()
	key, err := signing.GenerateKey()
	if err != nil {
		c.t.Fatal(err)
	}
	path = c.path(name + ".key")
	write(c.t, path, string(key.File()), 0o600)
	return path, key
}

func TestOnlySignedReleasesRun(t *testing.T) {
	f := startSeeder(t, "")
	second, key := f.own.newSigner("second")
	both := fmt.Sprintf("{keys: [%q, %q], threshold: 2}", f.own.signer.Public(), key.Public())
	ran := filepath.Join(t.TempDir(), "ran")
	hook := hook(t, "", "echo $CROW_HOST $CROW_VERSION >> "+ran)
	f.addPeer(peerConfig{app: hook})
	f.addPeer(peerConfig{app: hook, labels: "{role: web, needs: two}", trust: both})
	f.awaitHosts(2)
	stranger, _ := f.own.newSigner("stranger")
	unsigned := f.own.path("unsigned.yaml")
	write(t, unsigned, strings.Split(mustRead(t, f.operator), "sign_keys")[0], 0o600)

	r := f.push(7, artifact(t, 1<<20), "1.0", "--sign-key", stranger)
	wantLine(t, r, 7, "not trusted", "manifest of web@1.0")
	r = run(t, "--config", unsigned, "push", artifact(t, 1<<20), "--app", "web", "--version", "2.0", "--target", "role=web")
	wantLine(t, r, 7, "not trusted", "manifest of web@2.0")
	if _, err := os.Stat(ran); err == nil {
		t.Fatalf("a hook ran: %s", mustRead(t, ran))
	}

	a := artifact(t, 1<<20)
	f.push(7, a, "3.0") // one host wants a second signature
	if s := f.status("web"); host(t, s, "host-1").Phase != release.Active || !strings.Contains(host(t, s, "host-2").Reason, "1 of 2") {
		t.Errorf("with one signature: %+v", s.Hosts)
	}
	wantLine(t, f.crow("sign", "web@3.0", "--sign-key", second, "--sha256", strings.Repeat("0", 64)), 7, "sha256")
	f.push(0, a, "3.0", "--sign-key", second) // adds its signature to what is there
	if got := mustRead(t, ran); got != "host-1 3.0\nhost-2 3.0\n" {
		t.Errorf("hooks ran for %q", got)
	}
}

func TestRollbackNeedsASignature(t *testing.T) {
	f := startFleet(t, 2, peerConfig{app: hook(t, "", "exit 0")})
	for _, v := range []string{"1.0", "2.0"} {
		f.push(0, artifact(t, 1<<20), v)
	}
	wantLine(t, f.crow("deploy", "web@1.0", "--target", "role=web"), 7, "older", "crow rollback web --to 1.0")
	unsigned := f.own.path("unsigned.yaml")
	write(t, unsigned, strings.Split(mustRead(t, f.operator), "sign_keys")[0], 0o600)
	wantLine(t, run(t, "--config", unsigned, "rollback", "web"), 7, "rollback statement")
	if r := f.crow("rollback", "web"); r.code != 0 {
		t.Fatalf("rollback: %+v", r)
	}
	s := f.status("web")
	for _, h := range s.Hosts {
		if h.Phase != release.Active || h.Bytes.Received() != 0 {
			t.Errorf("%s: %s, %d bytes moved", h.Name, h.Phase, h.Bytes.Received())
		}
	}
	for _, p := range f.peers {
		if p.live() != "1.0" {
			t.Errorf("%s runs %s", p.name, p.live())
		}
	}
	if r := f.crow("deploy", "web@2.0"); r.code != 0 {
		t.Errorf("forward again: %+v", r)
	}
	var history []control.HistoryEntry
	if err := json.Unmarshal([]byte(f.crow("history", "web", "--output", "json").stdout), &history); err != nil {
		t.Fatal(err)
	}
	var did []string
	for _, e := range history {
		if e.Action != control.ActionEnded {
			did = append(did, e.Who+" "+e.Action+" "+e.Version+" "+e.Result)
		}
	}
	want := []string{
		"ann deploy 2.0 ok", "ann rollback 1.0 ok", "ann rollback 1.0 ok", "ann deploy 1.0 refused",
		"ann deploy 2.0 ok", "ann push 2.0 ok", "ann deploy 1.0 ok", "ann push 1.0 ok",
	}
	if got := strings.Join(did, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("history is\n%s", got)
	}
}

// Where hosts want two signatures, no one has both keys.
func TestRollbackByTwoPeople(t *testing.T) {
	f := startSeeder(t, "")
	bob, key := f.own.newSigner("bob")
	ann := f.own.path("signing.key")
	f.addPeer(peerConfig{app: hook(t, "", "exit 0"), trust: fmt.Sprintf("{keys: [%q, %q], threshold: 2}", f.own.signer.Public(), key.Public())})
	f.awaitHosts(1)
	for _, v := range []string{"1.0", "2.0"} {
		f.push(0, artifact(t, 1000), v, "--sign-key", ann, "--sign-key", bob)
	}
	wantLine(t, f.crow("rollback", "web", "--to", "1.0"), 7, "rollback statement of web@1.0", "1 of 2")

	file := filepath.Join(t.TempDir(), "back.json")
	if r := f.crow("rollback", "web", "--to", "1.0", "--out", file); r.code != 0 || !strings.Contains(r.stdout, "signatures: 1") {
		t.Fatalf("the statement: %+v", r)
	}
	if live := f.peers[0].live(); live != "2.0" {
		t.Errorf("a statement alone brought %s", live)
	}
	wantLine(t, f.crow("rollback", "web", "--to", "1.0", "--out", file), 2, "is there already")
	wantLine(t, f.crow("rollback", "db", "--statement", file, "--sign-key", bob), 2, "for the app web")
	wantLine(t, f.crow("rollback", "--statement", file), 7, "1 of 2") // by the same one again
	if r := f.crow("rollback", "--statement", file, "--sign-key", bob); r.code != 0 {
		t.Fatalf("with the second signature: %+v", r)
	}
	if live := f.peers[0].live(); live != "1.0" {
		t.Errorf("the host runs %s", live)
	}
	f.push(0, artifact(t, 1000), "3.0", "--sign-key", ann, "--sign-key", bob)
	wantLine(t, f.crow("rollback", "--statement", file, "--sign-key", bob), 7, "newer release since", "crow rollback web --to 1.0 --out FILE")
}

func TestExpiredReleaseIsRefused(t *testing.T) {
	f := startFleet(t, 1, peerConfig{app: hook(t, "", "exit 0")})
	a := artifact(t, 1000)
	f.push(0, a, "1.0", "--expires", "6s")
	f.eventually(30*time.Second, "the release expires", func() error {
		if r := f.crow("deploy", "web@1.0"); r.code != 7 || !strings.Contains(r.stderr, "expired") {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	second, _ := f.own.newSigner("second")
	sum := sha256.Sum256([]byte(mustRead(t, a)))
	wantLine(t, f.crow("sign", "web@1.0", "--sign-key", second, "--sha256", hex.EncodeToString(sum[:])), 7, "web@1.0 expired on", "another version")
}

// A seeder whose disk somebody has edited can make hosts run nothing that was not
// signed.
func TestEditedStoreRunsNothing(t *testing.T) {
	ran := filepath.Join(t.TempDir(), "ran")
	f := startFleet(t, 1, peerConfig{app: hook(t, "", "echo $CROW_VERSION >> "+ran)})
	f.push(0, artifact(t, 300_000), "1.0")
	f.push(0, artifact(t, 400_000), "2.0")
	f.seeder.stop()
	docs, err := filepath.Glob(f.dir + "/seeder/store/docs/*/*")
	if err != nil || len(docs) == 0 {
		t.Fatalf("no documents: %v", err)
	}
	var first, second control.Release
	for _, d := range docs {
		b := mustRead(t, d)
		for version, into := range map[string]*control.Release{"1.0": &first, "2.0": &second} {
			if strings.Contains(d, "/releases/") && strings.Contains(b, `"version":"`+version+`"`) {
				if err := json.Unmarshal([]byte(b), into); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	// 2.0 becomes what 1.0 is, in every document that tells of it.
	edit := strings.NewReplacer(second.SHA256.String(), first.SHA256.String(), second.InfoHash.String(), first.InfoHash.String(),
		fmt.Sprintf(`"size":%d`, second.Size), fmt.Sprintf(`"size":%d`, first.Size))
	edited := 0
	for _, d := range docs {
		if !strings.Contains(d, "/releases/") && !strings.Contains(d, "/deploys/") {
			continue
		}
		if b := mustRead(t, d); strings.Contains(b, `"version":"2.0"`) {
			write(t, d, edit.Replace(b), 0o644)
			edited++
		}
	}
	if edited < 2 {
		t.Fatalf("%d documents edited", edited)
	}
	f.seeder.start()
	p := f.addPeer(peerConfig{app: hook(t, "", "echo $CROW_VERSION late >> "+ran)})
	f.eventually(30*time.Second, "the new host has refused", func() error {
		r := f.crow("status", "web", "--output", "json")
		if !strings.Contains(r.stdout, "not trusted") {
			return fmt.Errorf("%s %s", r.stdout, r.stderr)
		}
		return nil
	})
	if p.live() != "" || strings.Contains(mustRead(t, ran), "late") {
		t.Errorf("the host runs %q, hooks ran: %s", p.live(), mustRead(t, ran))
	}
}

// A client without a certificate gets no byte on any port, and no release name.
func TestStrangersGetNothingAnywhere(t *testing.T) {
	f := startSeeder(t, "")
	p := f.addPeer(peerConfig{extra: "metrics_listen: " + f.subnet + ".2:7403"})
	f.awaitHosts(1)
	f.push(0, artifact(t, 100_000), "1.0-secret")
	for _, addr := range []string{f.seeder.ip + ":7400", f.seeder.ip + ":7401", p.ip + ":7401", p.ip + ":7403", f.seeder.ip + ":7402", p.ip + ":7402"} {
		for _, hello := range []string{"GET /v1/releases HTTP/1.1\r\nHost: x\r\n\r\n", "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "\x13BitTorrent protocol" + strings.Repeat("\x00", 48), "\x16\x03\x01\x00\x05hello"} {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			c.SetDeadline(time.Now().Add(15 * time.Second))
			io.WriteString(c, hello)
			answer, _ := io.ReadAll(io.LimitReader(c, 1<<16)) // a reset is as good as an end
			c.Close()
			if len(answer) > 7 { // a TLS alert
				t.Errorf("%s: a stranger who says %.20q gets %q", addr, hello, answer)
			}
		}
	}
	foreign := newCredentials(t, "fleet")
	for name, config := range map[string]string{
		"another fleet's operator": foreign.operator(f.seederURL()),
		"a peer's certificate":     f.own.clientConfig(f.seederURL(), "host-1"),
	} {
		for _, args := range [][]string{{"releases"}, {"hosts"}, {"status", "web"}, {"history"}, {"deploy", "web@1.0-secret"}} {
			r := run(t, append([]string{"--config", config}, args...)...)
			if r.code != 7 || strings.Contains(r.stdout+r.stderr, "secret") && args[0] != "deploy" {
				t.Errorf("%s: %v: %+v", name, args, r)
			}
		}
	}
	for name, edit := range map[string]func(string) string{
		"http": func(s string) string { return strings.Replace(s, "https:", "http:", 1) },
		"without a certificate": func(s string) string {
			return "seeder: " + f.seederURL() + "\n"
		},
	} {
		path := filepath.Join(t.TempDir(), "operator.yaml")
		write(t, path, edit(mustRead(t, f.operator)), 0o600)
		if r := run(t, "--config", path, "releases"); r.code != 2 || strings.Contains(r.stdout, "secret") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestRevokedCertificate(t *testing.T) {
	f := startFleet(t, 2, peerConfig{app: hook(t, "", "exit 0")})
	f.push(0, artifact(t, 100_000), "1.0")
	bad := f.peers[1]
	crl, err := f.own.ca.Revoke([]byte(mustRead(t, f.own.path(bad.name+".crt"))), []byte(mustRead(t, f.own.path("ann.crt"))))
	if err != nil {
		t.Fatal(err)
	}
	write(t, f.own.path(pki.CRLFile), string(crl), 0o644)
	f.eventually(60*time.Second, "the seeder refuses the operator", func() error {
		if r := f.crow("hosts"); r.code != 7 {
			return fmt.Errorf("%+v", r)
		}
		return nil
	})
	f.operator = f.own.clientConfigOf(f.seederURL(), f.own.issue(pki.Request{Role: "operator", Name: "bob"}))
	f.push(3, artifact(t, 100_000), "2.0", "--timeout", "170s") // a minute until the host is given up
	if f.peers[0].live() != "2.0" || bad.live() != "1.0" {
		t.Errorf("live are %s and %s", f.peers[0].live(), bad.live())
	}
}

// The key changes while a host is off, whose file has the old one.
func TestGossipKeyRotatesWithAHostDown(t *testing.T) {
	f := startFleet(t, 3, peerConfig{app: hook(t, "", "exit 0")})
	down := f.peers[2]
	down.kill()
	if r := f.crow("key", "rotate", "gossip", "--spread", "5s", "--grace", "5s"); r.code != 0 {
		t.Fatalf("rotate: %+v", r)
	}
	for _, d := range []*daemon{f.seeder, f.peers[0], f.peers[1]} {
		f.eventually(90*time.Second, d.name+" has let go of the old key", func() error {
			if n := strings.Count(mustRead(t, d.log), "gossip keys changed"); n < 3 {
				return fmt.Errorf("its keys changed %d times", n)
			}
			return nil
		})
	}
	down.start()
	f.eventually(90*time.Second, "the host that was down has the new key", func() error {
		if !strings.Contains(mustRead(t, down.log), "gossip keys changed") {
			return fmt.Errorf("its log: %s", tail([]byte(mustRead(t, down.log)), 500))
		}
		return nil
	})
	f.awaitHosts(3)
	f.seeder.kill()
	f.seeder.start()
	f.awaitHosts(3)
	f.push(0, artifact(t, 100_000), "1.0")
	for _, file := range []string{f.seeder.log, f.peers[0].log, down.log} {
		if key := strings.TrimSpace(mustRead(t, f.own.path("gossip.key"))); strings.Contains(mustRead(t, file), key) {
			t.Errorf("%s shows a key", file)
		}
	}
}

// What passes over the wire shows nothing of the build.
func TestCaptureShowsNoBuild(t *testing.T) {
	needRoot(t, "it listens to the loopback interface")
	f := startFleet(t, 2, peerConfig{app: "{unpack: false}"})
	secret := []byte("this line of the build is a secret")
	a := filepath.Join(t.TempDir(), "build.txt")
	write(t, a, strings.Repeat(string(secret)+"\n", 100_000), 0o644)
	seen, stop := capture(t, f.subnet)
	f.push(0, a, "1.0-name")
	packets := stop()
	if packets < 100 {
		t.Fatalf("%d packets captured", packets)
	}
	for _, needle := range [][]byte{secret, []byte("1.0-name"), []byte("BitTorrent protocol"), []byte("info_hash=")} {
		if seen(needle) {
			t.Errorf("%q went over the wire", needle)
		}
	}
}

// ipInNetworkOrder is unix.ETH_P_IP as the kernel wants it on little-endian hosts.
const ipInNetworkOrder = 0x0008

// capture collects what a fleet sends over loopback until stop, which tells how many
// packets that were. Packets are kept joined, in the order they came.
func capture(t *testing.T, subnet string) (seen func(needle []byte) bool, stop func() int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, ipInNetworkOrder)
	if err != nil {
		t.Skip("needs AF_PACKET: ", err)
	}
	lo, err := net.InterfaceByName("lo")
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: ipInNetworkOrder, Ifindex: lo.Index})
	}
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	}
	if err == nil {
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	}
	if err != nil {
		unix.Close(fd)
		t.Fatal(err)
	}
	var all bytes.Buffer
	packets, end, done := 0, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		defer unix.Close(fd)
		b := make([]byte, 1<<16)
		for {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if err == nil {
				const source = 12 // of the address in an IPv4 header
				if n > source+4 && strings.HasPrefix(net.IP(b[source:source+4]).String(), subnet+".") {
					packets++
					all.Write(b[:n])
				}
				continue
			}
			select {
			case <-end:
				return
			default:
			}
		}
	}()
	return func(needle []byte) bool { return bytes.Contains(all.Bytes(), needle) }, func() int {
		close(end)
		<-done
		return packets
	}
}
