package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Timeouts of connections. A datacenter answers in milliseconds: what takes
// longer than this is gone.
const (
	dialTimeout     = 5 * time.Second
	keepAlivePeriod = 15 * time.Second
	idleTimeout     = 90 * time.Second
)

// maxIdlePerHost keeps an agent's long poll, reports and announces on warm
// connections, and no more.
const maxIdlePerHost = 4

// errClear refuses what would go round TLS, such as a redirect to http.
var errClear = errors.New("tls is on, and the URL is http: want https")

// Dial connects to a TCP address, protected by TLS if that is on, as Client
// does.
func (s Security) Dial(ctx context.Context, addr string, roles ...Role) (net.Conn, error) {
	c, err := s.DialTCP(ctx, addr)
	if err != nil {
		return nil, err
	}
	return s.Client(ctx, c, addr, roles...)
}

// DialTCP connects to a TCP address, bare: the connection is for Client to
// protect.
func (s Security) DialTCP(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlivePeriod}
	return d.DialContext(ctx, "tcp", addr)
}

// Client protects a connection of DialTCP to addr, a host and port. It returns
// after the handshake, and fails as ErrUntrustedPeer if the other end is not of
// one of the roles, or is a seeder or tracker whose certificate is not for
// addr's host; no roles stand for any of the fleet's. That the other end refuses
// this host shows in the first Read, as ErrRefused. A connection that fails is
// closed; with TLS off it is c itself.
func (s Security) Client(ctx context.Context, c net.Conn, addr string, roles ...Role) (net.Conn, error) {
	if !s.On() {
		return c, nil
	}
	host, _, err := net.SplitHostPort(addr)
	if err == nil {
		err = s.keys.outdated()
	}
	if err != nil {
		_ = c.Close() // nothing was said on it
		return nil, fmt.Errorf("tls handshake with %s: %w", addr, err)
	}
	raw := &bounded{Conn: c}
	safe := &conn{Conn: tls.Client(raw, s.keys.client(host, roles)), raw: raw}
	if err := safe.handshake(ctx); err != nil {
		_ = c.Close() // the handshake's error is the cause of any other
		return nil, err
	}
	return safe, nil
}

// HTTPClient returns a client with connections of its own, to servers of the
// given roles; none stand for seeders. It sets no timeout for a whole call, since
// uploads and long polls end by their contexts. It uses no proxy: the fleet's
// addresses are direct. With TLS on it calls nobody by http.
func (s Security) HTTPClient(roles ...Role) *http.Client {
	if len(roles) == 0 {
		roles = []Role{RoleSeeder}
	}
	t := &http.Transport{
		DialContext:         func(ctx context.Context, _, addr string) (net.Conn, error) { return s.DialTCP(ctx, addr) },
		MaxIdleConnsPerHost: maxIdlePerHost,
		IdleConnTimeout:     idleTimeout,
	}
	if s.On() {
		t.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, errClear }
		t.DialTLSContext = func(ctx context.Context, _, addr string) (net.Conn, error) { return s.Dial(ctx, addr, roles...) }
	}
	return &http.Client{Transport: t}
}
