package swarm

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"crow/internal/pki"
	"crow/internal/transport"
)

// member writes the certificate of one node of a CA's fleet and returns the
// config that names it.
func member(t *testing.T, ca *pki.CA, role, name string, hosts ...string) transport.TLS {
	t.Helper()
	cert, key, err := ca.Issue(pki.Request{Role: role, Name: name, Hosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := transport.TLS{CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key")}
	for path, b := range map[string][]byte{files.CA: ca.Cert(), files.Cert: cert, files.Key: key} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func newCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.NewCA("crows", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// safeNode is a node with a certificate.
func safeNode(t *testing.T, role Role, ip string, files transport.TLS) *Swarm {
	t.Helper()
	security, err := transport.Open(files, false, zaptest.NewLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Role: role, Listen: ip + ":0", Advertise: ip, Security: security, Log: zaptest.NewLogger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); s.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// tap passes connections on to an address and keeps what goes over them.
type tap struct {
	net.Listener
	to   string
	mu   sync.Mutex
	seen []byte
}

func newTap(t *testing.T, ip, to string) *tap {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{Listener: l, to: to}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { p.pass(t.Context(), c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return p
}

func (p *tap) pass(ctx context.Context, c net.Conn) {
	defer c.Close()
	on, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.to)
	if err != nil {
		return
	}
	defer on.Close()
	stop := context.AfterFunc(ctx, func() { c.Close(); on.Close() })
	defer stop()
	var wg sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, on}, {on, c}} {
		wg.Go(func() {
			_, _ = io.Copy(way[1], io.TeeReader(way[0], p))
			way[1].Close()
		})
	}
	wg.Wait()
}

// Write implements io.Writer.
func (p *tap) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, b...)
	return len(b), nil
}

// sharesARun tells whether 16 bytes in a row of one are in the other.
func sharesARun(a, b []byte) bool {
	const run = 16
	runs := make(map[[run]byte]bool, len(a))
	for ; len(a) >= run; a = a[1:] {
		runs[[run]byte(a)] = true
	}
	for ; len(b) >= run; b = b[1:] {
		if runs[[run]byte(b)] {
			return true
		}
	}
	return false
}

// A fleet of four over TLS: each gets the artifact, its bytes are counted by what
// the certificates say, and nobody on the way reads any of it.
func TestSwarmOverTLS(t *testing.T) {
	ca := newCA(t)
	artifact := randomArtifact(1<<20 + 100)
	torrentFile := makeTorrent(t, artifact)
	m, _ := ParseTorrent(torrentFile)
	seeder := safeNode(t, RoleSeeder, "127.0.0.1", member(t, ca, "seeder", "seeder-1", "127.0.0.1"))
	if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	wire := newTap(t, "127.0.0.1", seeder.Addr().String())
	var wg sync.WaitGroup
	var peers []*Swarm
	addrs := []netip.AddrPort{netip.MustParseAddrPort(wire.Addr().String())}
	for _, name := range []string{"web-1", "web-2", "web-3"} {
		p := safeNode(t, RolePeer, "127.0.0.2", member(t, ca, "peer", name))
		peers, addrs = append(peers, p), append(addrs, p.Addr())
	}
	for _, p := range peers {
		path := filepath.Join(t.TempDir(), "part")
		wg.Go(func() {
			var last Progress
			if err := p.Fetch(t.Context(), torrentFile, path, func(g Progress) { last = g }); err != nil {
				t.Error(err)
				return
			}
			if b := last.Bytes; b.Seeder == 0 || b.Useful() != int64(len(artifact)) {
				t.Errorf("bytes %+v", b)
			}
			assertContent(t, path, artifact)
		})
		wg.Go(func() { awaitTransfer(t.Context(), p, m.InfoHash); p.AddNeighbours(m.InfoHash, addrs) })
	}
	wg.Wait()
	wire.mu.Lock()
	defer wire.mu.Unlock()
	if len(wire.seen) < len(artifact)/2 {
		t.Errorf("only %d bytes were tapped", len(wire.seen))
	}
	if sharesARun(artifact, wire.seen) {
		t.Error("bytes of the artifact are on the wire")
	}
	if !sharesARun(artifact, bytes.Clone(artifact[1000:1016])) {
		t.Error("the test would not see them")
	}
}

// Who has no certificate of the fleet, or of another role, gets no byte.
func TestStrangersGetNothingOverTLS(t *testing.T) {
	ca, foreign := newCA(t), newCA(t)
	artifact := randomArtifact(1 << 20)
	torrentFile := makeTorrent(t, artifact)
	m, _ := ParseTorrent(torrentFile)
	seeder := safeNode(t, RoleSeeder, "127.0.0.1", member(t, ca, "seeder", "seeder-1", "127.0.0.1"))
	if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	fleet := member(t, ca, "peer", "web-1")
	other := member(t, foreign, "peer", "web-1")
	operator := member(t, ca, "operator", "alice")
	for name, files := range map[string]*transport.TLS{"in the clear": nil, "no certificate": {}, "of another CA": &other, "an operator": &operator, "a peer": &fleet} {
		t.Run(name, func(t *testing.T) {
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", seeder.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			if files != nil {
				config := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // a stranger trusts anybody
				if files.Cert != "" {
					pair, err := tls.LoadX509KeyPair(files.Cert, files.Key)
					if err != nil {
						t.Fatal(err)
					}
					config.Certificates = []tls.Certificate{pair}
				}
				c = tls.Client(c, config)
			}
			_, err = greet(c, m, peerIDOf(RolePeer, netip.MustParseAddrPort("127.0.0.2:7401")))
			if (err == nil) != (name == "a peer") {
				t.Errorf("greeted: %v", err)
			}
		})
	}
	if sent := seeder.Sent(m.InfoHash); sent != 0 {
		t.Errorf("%d bytes were sent", sent)
	}
}

// What a neighbour is says its certificate, not its peer ID: a peer that says it is
// a seeder is a peer, and is cut off by its name.
func TestRoleIsTheCertificates(t *testing.T) {
	ca := newCA(t)
	artifact := randomArtifact(siegeSize)
	torrentFile := makeTorrent(t, artifact)
	m, _ := ParseTorrent(torrentFile)
	seeder := safeNode(t, RoleSeeder, "127.0.0.1", member(t, ca, "seeder", "seeder-1", "127.0.0.1"))
	seeder.SetLimits(siegeRate, 0)
	if err := seeder.Seed(torrentFile, writeFile(t, artifact)); err != nil {
		t.Fatal(err)
	}
	peer := safeNode(t, RolePeer, "127.0.0.2", member(t, ca, "peer", "web-1"))
	pretender := member(t, ca, "peer", "web-2")
	var wg sync.WaitGroup
	wg.Go(func() {
		awaitTransfer(t.Context(), peer, m.InfoHash)
		pair, err := tls.LoadX509KeyPair(pretender.Cert, pretender.Key)
		if err != nil {
			t.Error(err)
			return
		}
		for range 2 { // the second time it is not let in, whatever name it greets by
			c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", peer.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			config := &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{pair}} //nolint:gosec // it is a liar
			if h, err := greet(tls.Client(c, config), m, newPeerID(RoleSeeder, seeder.Addr())); err == nil {
				h.serve(garbage)
			}
			peer.AddNeighbours(m.InfoHash, []netip.AddrPort{seeder.Addr()})
			c.Close()
		}
	})
	path := filepath.Join(t.TempDir(), "part")
	var last Progress
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := peer.Fetch(ctx, torrentFile, path, func(g Progress) { last = g }); err != nil {
		t.Fatalf("%v, with %+v", err, last)
	}
	wg.Wait()
	if len(last.CutOff) != 1 || last.CutOff[0].Name != "web-2" || last.CutOff[0].Seeder || last.Bytes.Peer == 0 {
		t.Errorf("cut off %v, bytes %+v", last.CutOff, last.Bytes)
	}
}
