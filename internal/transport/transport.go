// Package transport is where crow listens and dials: one place for each, so
// that what protects a connection is decided once.
//
// Mutual TLS is not built yet: Security accepts TLS off only. What uses the
// package does not change when that does.
package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"
)

// ErrInsecure marks a listener or peer that would be open to the network
// without TLS and without the config saying that this is meant.
var ErrInsecure = errors.New("tls is off on a network address")

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

// Security says how connections are protected.
type Security struct {
	// Insecure allows TLS to be off on addresses other than loopback.
	Insecure bool
}

// Check reports ErrInsecure if traffic in the clear to or at addr, a host and
// port, is not allowed.
func (s Security) Check(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("address %q: want host:port: %w", addr, err)
	}
	if s.Insecure || isLoopback(host) {
		return nil
	}
	return fmt.Errorf("%w %s: only loopback may go without it unless the config says insecure: true", ErrInsecure, addr)
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// Listen binds a TCP address.
func (s Security) Listen(addr string) (net.Listener, error) {
	if err := s.Check(addr); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{KeepAlive: keepAlivePeriod}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, cause(err))
	}
	return l, nil
}

// cause is the system's own reason for a failed bind, without the layers in
// between, which repeat the address.
func cause(err error) error {
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		return call.Err
	}
	return err
}

// Dial connects to a TCP address.
func (s Security) Dial(ctx context.Context, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlivePeriod}
	return d.DialContext(ctx, "tcp", addr)
}

// HTTPClient returns a client with connections of its own. It sets no timeout
// for a whole call, since uploads and long polls end by their contexts. It uses
// no proxy: the fleet's addresses are direct.
func (s Security) HTTPClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, addr string) (net.Conn, error) { return s.Dial(ctx, addr) },
		MaxIdleConnsPerHost: maxIdlePerHost,
		IdleConnTimeout:     idleTimeout,
	}}
}

// TLS is the config's tls key. Until certificates are built it must say off.
type TLS struct {
	Off bool
}

// UnmarshalText reads "off", the one value that is accepted so far.
func (t *TLS) UnmarshalText(b []byte) error {
	if string(b) != "off" {
		return fmt.Errorf("tls: %q is not supported: this version knows only tls: off", b)
	}
	t.Off = true
	return nil
}
