package httpserve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"crow/internal/pki"
	"crow/internal/transport"
)

// host writes a certificate's files and opens them.
func host(t *testing.T, ca *pki.CA, role, name string) (transport.Security, transport.TLS) {
	t.Helper()
	cert, key, err := ca.Issue(pki.Request{Role: role, Name: name, Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	crl, err := ca.Revoke()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := transport.TLS{
		CA: filepath.Join(dir, "ca"), Cert: filepath.Join(dir, "cert"), Key: filepath.Join(dir, "key"), CRL: filepath.Join(dir, "crl"),
	}
	for path, b := range map[string][]byte{files.CA: ca.Cert(), files.Cert: cert, files.Key: key, files.CRL: crl} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := transport.Open(files, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s, files
}

// startTLS runs a server of a fleet, and returns it with a client of that.
func startTLS(t *testing.T, h http.HandlerFunc) (s *Server, stop func() error, c *http.Client, revoke func()) {
	t.Helper()
	ca, err := pki.NewCA("crows", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	server, files := host(t, ca, "seeder", "seeder-1")
	peer, peerFiles := host(t, ca, "peer", "web-1")
	s, err = New(Config{Listen: "127.0.0.1:0", Handler: h, Security: server})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	stop = func() error {
		cancel()
		err := <-ran
		ran <- err
		return err
	}
	t.Cleanup(func() { _ = stop() }) // checked by the test that it matters to
	c = peer.HTTPClient()
	t.Cleanup(c.CloseIdleConnections)
	return s, stop, c, func() {
		cert, err := os.ReadFile(peerFiles.Cert)
		if err != nil {
			t.Fatal(err)
		}
		crl, err := ca.Revoke(cert)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(files.CRL, crl, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestServesTheFleet(t *testing.T) {
	s, stop, c, _ := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		id, _ := transport.IdentityOf(r)
		fmt.Fprintf(w, "%s %s of %s", id.Role, id.Name, id.Fleet)
	})
	if status, body := get(t, c, "https://"+s.Addr().String()); status != 200 || body != "peer web-1 of crows" {
		t.Errorf("%d %q", status, body)
	}
	if status, body := get(t, c, "https://"+s.Addr().String()+PathHealth); status != 200 || body != "ok\n" {
		t.Errorf("%d %q", status, body)
	}
	// Handshakes that stand still don't hold up the end.
	for range 10 {
		dial(t, s)
	}
	began := time.Now()
	if err := stop(); err != nil || time.Since(began) > grace/2 {
		t.Errorf("stop: %v after %s", err, time.Since(began))
	}
}

// Who shows no certificate gets no byte of HTTP, not even to be told so.
func TestStrangersGetNothing(t *testing.T) {
	s, _, _, _ := startTLS(t, func(http.ResponseWriter, *http.Request) { t.Error("served") })
	for name, connect := range map[string]func() (net.Conn, error){
		"plain HTTP": func() (net.Conn, error) { return net.Dial("tcp", s.Addr().String()) },
		"no certificate": func() (net.Conn, error) {
			return tls.Dial("tcp", s.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		},
	} {
		c, err := connect()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
		c.SetReadDeadline(time.Now().Add(deadline))
		b, err := io.ReadAll(c)
		if alert := len(b) == 7 && b[0] == 21; len(b) > 0 && !alert { // in the clear, as TLS has it
			t.Errorf("%s: got %q", name, b)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: the connection is left open", name)
		}
		c.Close()
	}
}

// A connection that is kept ends when its certificate is revoked.
func TestRevocationEndsKeptConnections(t *testing.T) {
	s, _, c, revoke := startTLS(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "caw") })
	url := "https://" + s.Addr().String()
	if status, _ := get(t, c, url); status != 200 {
		t.Fatal(status)
	}
	revoke()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(deadline); ; <-tick.C {
		res, err := c.Get(url)
		if err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, transport.ErrRefused) {
				t.Errorf("got %v", err)
			}
			return
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		if time.Now().After(end) {
			t.Fatal("still served")
		}
	}
}
