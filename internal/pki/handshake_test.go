package pki

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"strings"
	"testing"
	"time"
)

// end is one end of a connection: its own certificate and the CA that it trusts.
func end(t *testing.T, own *CA, r Request, trusted *CA) *tls.Config {
	t.Helper()
	cert, err := tls.X509KeyPair(issue(t, own, r))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(trusted.Cert()) {
		t.Fatal("the ca's certificate is none")
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, RootCAs: pool, ClientCAs: pool,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS13,
	}
}

// shake dials a real server and returns what both ends say.
func shake(t *testing.T, server, client *tls.Config) (serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		raw, err := l.Accept()
		if err != nil {
			done <- err
			return
		}
		defer raw.Close()
		_ = raw.SetDeadline(time.Now().Add(10 * time.Second))
		c := tls.Server(raw, server)
		if err = c.Handshake(); err == nil {
			_, err = c.Write([]byte("x"))
		}
		done <- err
	}()
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	c, err := tls.DialWithDialer(dialer, "tcp", l.Addr().String(), client)
	if err == nil {
		_, err = c.Read(make([]byte, 1)) // TLS 1.3: a refused client learns it when it reads
		c.Close()
	}
	return <-done, err
}

func TestHandshakes(t *testing.T) {
	ca, other, past := newCA(t), newCA(t), newCA(t)
	past.cert, past.key = ca.cert, ca.key
	past.Now = func() time.Time { return time.Now().Add(-48 * time.Hour) }
	seeder := Request{Role: "seeder", Name: "seeder-1", Hosts: []string{"127.0.0.1"}}
	elsewhere := Request{Role: "seeder", Name: "seeder-1", Hosts: []string{"10.0.0.5", "localhost"}}
	peer, brief := Request{Role: "peer", Name: "web-1"}, Request{Role: "peer", Name: "web-1", Lifetime: time.Hour}
	tests := []struct {
		name           string
		server, client *tls.Config
		want           string // in either end's error; empty: they talk
	}{
		{"of one fleet", end(t, ca, seeder, ca), end(t, ca, peer, ca), ""},
		{"both ways", end(t, ca, Request{Role: "peer", Name: "web-2", Hosts: []string{"127.0.0.1"}}, ca), end(t, ca, seeder, ca), ""},
		{"old but good", end(t, past, seeder, ca), end(t, past, peer, ca), ""},
		{"a stranger calls", end(t, ca, seeder, ca), end(t, other, peer, ca), "unknown authority"},
		{"a stranger is called", end(t, other, seeder, ca), end(t, ca, peer, ca), "unknown authority"},
		{"at another address", end(t, ca, elsewhere, ca), end(t, ca, peer, ca), "not 127.0.0.1"},
		{"at an address without one", end(t, ca, peer, ca), end(t, ca, peer, ca), "IP SANs"},
		{"expired", end(t, ca, seeder, ca), end(t, past, brief, ca), "expired"},
	}
	for _, tt := range tests {
		serverErr, clientErr := shake(t, tt.server, tt.client)
		both := ""
		for _, err := range []error{serverErr, clientErr} {
			if err != nil {
				both += err.Error() + "; "
			}
		}
		if tt.want == "" && both != "" || !strings.Contains(both, tt.want) {
			t.Errorf("%s: %s want %q", tt.name, both, tt.want)
		}
	}
}
