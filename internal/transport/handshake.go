package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"time"
)

// ErrRefused marks a connection that the other end breaks off because it does
// not trust this host's certificate. TLS does not tell why: that is in the log
// over there.
var ErrRefused = errors.New("this host's certificate is refused")

// Limits of one handshake. It takes milliseconds and some 4 KiB: hello, one
// certificate and its proof.
const (
	handshakeTimeout = 5 * time.Second
	maxHandshakeLen  = 32 << 10 // bytes from the other end
)

// Limits of how long a refused end gets to read that it was refused. To close
// while it still sends, a request with a body perhaps, would have the kernel
// tell it of a broken connection instead.
const (
	farewellTimeout = 500 * time.Millisecond
	maxFarewellLen  = 16 << 20 // bytes, which go nowhere; as much as sockets hold
)

// config is what both ends of a handshake set up alike. crypto/tls verifies
// nothing but who holds the certificate's key: verify does the rest, since it is
// called for resumed sessions too, knows the newest files and names the cause.
func (k *keys) config(verify func(*x509.Certificate) error) *tls.Config {
	own := func() (*tls.Certificate, error) { return k.current().own.cert, nil }
	return &tls.Config{
		MinVersion: tls.VersionTLS13, MaxVersion: tls.VersionTLS13,
		Time:                 k.clock,
		GetCertificate:       func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own() },
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own() },
		InsecureSkipVerify:   true,
		ClientAuth:           tls.RequireAnyClientCert,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 {
				return fmt.Errorf("%w: it sent no certificate", ErrUntrustedPeer)
			}
			if err := verify(s.PeerCertificates[0]); err != nil {
				return fmt.Errorf("%w: %w", ErrUntrustedPeer, err)
			}
			return nil
		},
		// Bulk data in records of 16 KiB from the first byte on: a datacenter's
		// links gain nothing from small ones.
		DynamicRecordSizingDisabled: true,
	}
}

// server sets up handshakes with those who dial this host.
func (k *keys) server(roles []Role) *tls.Config {
	return k.config(func(c *x509.Certificate) error {
		m := k.current()
		return m.trust.check(c, want{m.own.id.Fleet, x509.ExtKeyUsageClientAuth, roles, ""}, k.clock())
	})
}

// client sets up the handshake with a host that was dialled. It keeps no
// sessions: one resumed goes on with both ends' old certificates, so that a host
// which has renewed its own would be refused when the old one expires.
func (k *keys) client(host string, roles []Role) *tls.Config {
	c := k.config(func(c *x509.Certificate) error {
		m := k.current()
		return m.trust.check(c, want{m.own.id.Fleet, x509.ExtKeyUsageServerAuth, roles, host}, k.clock())
	})
	c.ServerName = host
	return c
}

// outdated reports why the host's own certificate no longer holds, as others
// find without being able to say so.
func (k *keys) outdated() error {
	m := k.current()
	if err := m.trust.current(m.own.cert.Leaf, k.clock()); err != nil {
		return fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return nil
}

// shake does a connection's handshake within the limits. It leaves c open.
func shake(ctx context.Context, c *tls.Conn, raw *bounded) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	err := c.HandshakeContext(ctx)
	if err == nil {
		raw.lift()
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no end in %s: %w", handshakeTimeout, err)
	}
	return fmt.Errorf("tls handshake with %s: %w", c.RemoteAddr(), refused(err))
}

// refused makes ErrRefused of what the other end says of this host's
// certificate.
func refused(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" || !strings.Contains(op.Err.Error(), "certificate") {
		return err
	}
	return fmt.Errorf("%w: %w", ErrRefused, op.Err)
}

// farewell has a refused end read why before the connection is closed.
func farewell(c net.Conn) {
	w, ok := c.(interface{ CloseWrite() error })
	if !ok || w.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(farewellTimeout)) != nil {
		return
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(c, maxFarewellLen)) // it has been refused, whatever it says
}

// errTalkative ends a handshake in which the other end sends too much.
var errTalkative = fmt.Errorf("it sent over %d bytes", maxHandshakeLen)

// bounded is a connection that takes only so much until its limit is lifted.
type bounded struct {
	net.Conn
	taken  atomic.Int64
	lifted atomic.Bool
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if !b.lifted.Load() && b.taken.Add(int64(n)) > maxHandshakeLen {
		return 0, errTalkative
	}
	return n, err
}

func (b *bounded) lift() { b.lifted.Store(true) }
