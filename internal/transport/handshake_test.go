package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// deadline is what a test waits for things that take milliseconds.
const deadline = 10 * time.Second

// greet listens and says caw to all who pass the handshake, until stop, which
// waits for the handshakes that are under way.
func greet(t *testing.T, s Security) (addr string, stop func()) {
	t.Helper()
	l := must[net.Listener](t)(s.Listen("127.0.0.1:0"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "caw")
			c.Close()
		}
	}()
	stop = func() {
		l.Close()
		<-done
	}
	t.Cleanup(stop)
	return l.Addr().String(), stop
}

// hear reads what greet says.
func hear(c net.Conn, err error) error {
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	b, err := io.ReadAll(c)
	if err == nil && string(b) != "caw" {
		return errors.New("heard " + string(b))
	}
	if err != nil && len(b) > 0 {
		return errors.New("heard " + string(b) + " before " + err.Error())
	}
	return err
}

// logged joins the errors of what was logged.
func logged(logs *observer.ObservedLogs) string {
	var b strings.Builder
	for _, e := range logs.All() {
		b.WriteString(e.Level.String() + " " + e.Message)
		for _, f := range e.Context {
			if err, ok := f.Interface.(error); ok {
				b.WriteString(": " + err.Error())
			}
		}
		b.WriteString("\n")
	}
	return b.String()
}

// awaitLog waits until words are in the log.
func awaitLog(t *testing.T, logs *observer.ObservedLogs, words string) {
	t.Helper()
	for end := time.Now().Add(deadline); !strings.Contains(logged(logs), words); {
		if time.Now().After(end) {
			t.Fatalf("%q is not in the log: %s", words, logged(logs))
		}
		<-time.After(time.Millisecond)
	}
}

// watched is a host of the fleet with what it logs.
func (a *authority) watched(role Role, name string) (Security, TLS, *observer.ObservedLogs) {
	core, logs := observer.New(zap.DebugLevel)
	s, f := a.open(a.issue(role, name, nil), zap.New(core))
	return s, f, logs
}

// A server takes clients of its fleet only, and tells itself and them.
func TestServerChecksClients(t *testing.T) {
	a := newAuthority(t)
	all := samples(a)
	for name, test := range all {
		t.Run(name, func(t *testing.T) {
			server, f, logs := a.watched(RoleSeeder, "seeder-1")
			write(t, f.CRL, a.revoke(all["revoked"].leaf))
			addr, _ := greet(t, server)
			c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{test.leaf.pair}})
			err = hear(c, err)
			if test.why == "" {
				if err != nil {
					t.Errorf("client: %v, server: %s", err, logged(logs))
				}
				return
			}
			if !errors.Is(refused(err), ErrRefused) {
				t.Errorf("client: %v", err)
			}
			awaitLog(t, logs, test.why)
			level := "warn"
			if test.stranger {
				level = "debug"
			}
			if got := logged(logs); !strings.Contains(got, level+" tls handshake") {
				t.Errorf("server: %s, want %s at %s", got, test.why, level)
			}
		})
	}
}

// A client takes servers of its fleet only.
func TestClientChecksServers(t *testing.T) {
	a := newAuthority(t)
	all := samples(a)
	client, f := a.open(a.issue(RolePeer, "web-9", nil), nil)
	write(t, f.CRL, a.revoke(all["revoked"].leaf))
	for name, test := range all {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, &tls.Config{Certificates: []tls.Certificate{test.leaf.pair}, ClientAuth: tls.RequireAnyClientCert})
			err := hear(client.Dial(t.Context(), addr))
			if test.why == "" && err != nil ||
				test.why != "" && (!errors.Is(err, ErrUntrustedPeer) || !strings.Contains(err.Error(), test.why)) {
				t.Errorf("got %v, want %q", err, test.why)
			}
		})
	}
}

// serve is greet by crypto/tls alone.
func serve(t *testing.T, c *tls.Config) (addr string) {
	t.Helper()
	l := must[net.Listener](t)(tls.Listen("tcp", "127.0.0.1:0", c))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "caw")
			c.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

func TestClientChecksRoleAndHost(t *testing.T) {
	a := newAuthority(t)
	client, _ := a.open(a.issue(RolePeer, "web-9", nil), nil)
	elsewhere := func(c *x509.Certificate) {
		c.IPAddresses, c.DNSNames = []net.IP{{10, 0, 0, 5}}, []string{"seeder.example"}
	}
	nowhere := func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, nil }
	for name, test := range map[string]struct {
		role   Role
		change func(*x509.Certificate)
		want   []Role
		why    string
	}{
		"any role":             {RolePeer, nil, nil, ""},
		"the role":             {RoleTracker, nil, []Role{RoleTracker}, ""},
		"one of the roles":     {RolePeer, nil, []Role{RoleSeeder, RolePeer}, ""},
		"another role":         {RolePeer, nil, []Role{RoleSeeder}, "certificate of host-1 is of role peer, want seeder"},
		"none of the roles":    {RoleOperator, nil, []Role{RoleSeeder, RolePeer}, "is of role operator, want seeder or peer"},
		"a seeder elsewhere":   {RoleSeeder, elsewhere, nil, "certificate of host-1 is for seeder.example, 10.0.0.5, not for 127.0.0.1"},
		"a tracker nowhere":    {RoleTracker, nowhere, nil, "certificate of host-1 is for no address, not for 127.0.0.1"},
		"a peer elsewhere":     {RolePeer, elsewhere, nil, ""},
		"an operator nowhere":  {RoleOperator, nowhere, nil, ""},
		"a seeder where it is": {RoleSeeder, nil, []Role{RoleSeeder}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := a.open(a.issue(test.role, "host-1", test.change), nil)
			addr, _ := greet(t, server)
			err := hear(client.Dial(t.Context(), addr, test.want...))
			if test.why == "" && err != nil ||
				test.why != "" && (!errors.Is(err, ErrUntrustedPeer) || !strings.Contains(err.Error(), test.why)) {
				t.Errorf("got %v, want %q", err, test.why)
			}
		})
	}
}

func TestDialByName(t *testing.T) {
	a := newAuthority(t)
	server, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	addr, _ := greet(t, server)
	c := must[net.Conn](t)(server.DialTCP(t.Context(), addr))
	if err := hear(server.Client(t.Context(), c, "localhost:1", RoleSeeder)); err != nil {
		t.Errorf("by a name of the certificate: %v", err)
	}
	c = must[net.Conn](t)(server.DialTCP(t.Context(), addr))
	if _, err := server.Client(t.Context(), c, "other:1", RoleSeeder); !errors.Is(err, ErrUntrustedPeer) {
		t.Errorf("by another name: %v", err)
	}
	if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection is left open: %v", err)
	}
}

// What speaks no TLS 1.3, or no TLS, gets no answer of ours.
func TestServerRefusesOldAndPlain(t *testing.T) {
	a := newAuthority(t)
	server, _, logs := a.watched(RoleSeeder, "seeder-1")
	addr, stop := greet(t, server)
	pair := []tls.Certificate{a.issue(RolePeer, "web-1", nil).pair}
	if _, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, Certificates: pair, MaxVersion: tls.VersionTLS12}); err == nil ||
		!strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true})
	if err := hear(c, err); err == nil || !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("no certificate: %v", err)
	}
	plain := must[net.Conn](t)(net.Dial("tcp", addr))
	io.WriteString(plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if b, _ := io.ReadAll(plain); strings.Contains(string(b), "HTTP") || strings.Contains(string(b), "caw") {
		t.Errorf("plain HTTP got %q", b)
	}
	plain.Close()
	for _, want := range []string{"unsupported versions", "didn't provide a certificate", "does not look like a TLS handshake"} {
		awaitLog(t, logs, want)
	}
	stop()
	if got := logged(logs); strings.Contains(got, "warn") {
		t.Errorf("noise is logged aloud: %s", got)
	}
}

func TestClientRefusesOldServer(t *testing.T) {
	a := newAuthority(t)
	client, _ := a.open(a.issue(RolePeer, "web-9", nil), nil)
	pair := []tls.Certificate{a.issue(RoleSeeder, "seeder-1", nil).pair}
	addr := serve(t, &tls.Config{Certificates: pair, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12})
	if err := hear(client.Dial(t.Context(), addr)); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("TLS 1.2: %v", err)
	}
}

// A host that the server refuses learns so by its first read.
func TestRefusedHostLearnsIt(t *testing.T) {
	a := newAuthority(t)
	server, f := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	addr, _ := greet(t, server)
	l := a.issue(RolePeer, "web-1", nil)
	client, _ := a.open(l, nil)
	write(t, f.CRL, a.revoke(l))
	for range 20 { // however its own words cross with the server's
		c, err := client.Dial(t.Context(), addr)
		if err == nil {
			io.WriteString(c, strings.Repeat("x", 8<<10))
		}
		if err := hear(c, err); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "bad certificate") {
			t.Fatal(err)
		}
	}
}

// A host whose own certificate has ended says that, and does not dial with it.
func TestOwnCertificateEnds(t *testing.T) {
	a := newAuthority(t)
	server, _, logs := a.watched(RoleSeeder, "seeder-1")
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	server.keys.clock = later
	addr, _ := greet(t, server)
	if err := hear(server.Dial(t.Context(), addr)); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "certificate of seeder-1 expired on 20") {
		t.Error(err)
	}
	cas := x509.NewCertPool()
	cas.AddCert(a.cert)
	if _, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: cas, Time: later}); err == nil {
		t.Error("an expired server was taken")
	}
	awaitLog(t, logs, "warn tls handshake in the fleet failed: this host's certificate is refused: certificate of seeder-1 expired")
}

func TestIdentities(t *testing.T) {
	a := newAuthority(t)
	peer := a.issue(RolePeer, "web-1", func(c *x509.Certificate) {
		c.IPAddresses = []net.IP{net.ParseIP("10.0.0.21"), net.ParseIP("fd00::21")}
		c.DNSNames = []string{"web-1.example"}
	})
	client, _ := a.open(peer, nil)
	server, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	if !client.On() || client.Scheme() != "https" || !client.Expires().Equal(peer.cert.NotAfter) {
		t.Errorf("%t %s %s", client.On(), client.Scheme(), client.Expires())
	}
	if err := client.Check("0.0.0.0:7400"); err != nil {
		t.Errorf("with TLS: %v", err)
	}
	id := client.Identity()
	if id.Fleet != "crows" || id.Name != "web-1" || id.Role != RolePeer || len(id.Names) != 1 ||
		len(id.Addrs) != 2 || id.Addrs[0] != netip.MustParseAddr("10.0.0.21") {
		t.Errorf("%+v", id)
	}
	off := Security{Insecure: true}
	if off.On() || off.Scheme() != "http" || off.Identity().Name != "" || !off.Expires().IsZero() {
		t.Errorf("%+v", off)
	}
	l := must[net.Listener](t)(server.ListenTCP("127.0.0.1:0"))
	defer l.Close()
	seen := make(chan Identity, 1)
	go func() {
		bare, err := l.Accept()
		if err != nil {
			return
		}
		c := server.Server(bare, RolePeer)
		defer c.Close()
		if _, early := PeerIdentity(c); early {
			t.Error("an identity before the handshake")
		}
		io.WriteString(c, "caw")
		id, _ := PeerIdentity(c)
		seen <- id
	}()
	c := must[net.Conn](t)(client.Dial(t.Context(), l.Addr().String(), RoleSeeder))
	if id, ok := PeerIdentity(c); !ok || id.Name != "seeder-1" || id.Role != RoleSeeder {
		t.Errorf("%+v, %t", id, ok)
	}
	if err := hear(c, nil); err != nil {
		t.Error(err)
	}
	if got := <-seen; got.Name != "web-1" || got.Role != RolePeer {
		t.Errorf("%+v", got)
	}
}

// Server refuses roles that may not be there, and both ends hear of it.
func TestServerChecksRoles(t *testing.T) {
	a := newAuthority(t)
	client, _ := a.open(a.issue(RoleOperator, "ann", nil), nil)
	server, _ := a.open(a.issue(RolePeer, "web-1", nil), nil)
	l := must[net.Listener](t)(server.ListenTCP("127.0.0.1:0"))
	defer l.Close()
	failed := make(chan error, 1)
	go func() {
		bare, err := l.Accept()
		if err != nil {
			return
		}
		c := server.Server(bare, RolePeer, RoleSeeder)
		defer c.Close()
		_, err = c.Read(make([]byte, 1))
		if id, ok := PeerIdentity(c); ok {
			t.Errorf("who was refused has an identity: %+v", id)
		}
		failed <- err
	}()
	if err := hear(client.Dial(t.Context(), l.Addr().String())); !errors.Is(err, ErrRefused) {
		t.Errorf("client: %v", err)
	}
	if err := <-failed; !errors.Is(err, ErrUntrustedPeer) || !strings.Contains(err.Error(), "certificate of ann is of role operator, want peer or seeder") {
		t.Errorf("server: %v", err)
	}
}

func TestTLSOffLeavesConnections(t *testing.T) {
	s := Security{}
	l := must[net.Listener](t)(s.Listen("127.0.0.1:0"))
	defer l.Close()
	c := must[net.Conn](t)(s.Dial(t.Context(), l.Addr().String(), RoleSeeder))
	defer c.Close()
	if _, ok := c.(*net.TCPConn); !ok || s.Server(c) != c {
		t.Errorf("%T", c)
	}
	if _, ok := PeerIdentity(c); ok {
		t.Error("it has an identity")
	}
}
