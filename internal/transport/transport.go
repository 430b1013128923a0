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
	"strconv"
	"time"

	"crow/internal/release"
)

// ErrInsecure marks an address off loopback at which traffic would be in the
// clear without the config saying that this is meant. Listen and ListenPacket
// check for it; whom to dial is for the caller to Check.
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
// port, is not allowed, and release.ErrInvalid if addr is none.
func (s Security) Check(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if _, rangeErr := strconv.ParseUint(port, 10, 16); err != nil || rangeErr != nil {
		return fmt.Errorf("%w address %q: want host:port, with a port from 0 to 65535", release.ErrInvalid, addr)
	}
	if s.Insecure || IsLoopback(host) {
		return nil
	}
	return fmt.Errorf("%w %s: only loopback may go without it unless the config says insecure: true", ErrInsecure, addr)
}

// IsLoopback reports whether host, a name or an IP, is this machine's alone. A
// host that is left out, as in :7400, stands for all addresses and is not.
func IsLoopback(host string) bool {
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

// ListenPacket binds a UDP address.
func (s Security) ListenPacket(addr string) (net.PacketConn, error) {
	if err := s.Check(addr); err != nil {
		return nil, err
	}
	c, err := (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, cause(err))
	}
	return c, nil
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

// Validate refuses a config that leaves the key out: traffic in the clear must
// be meant.
func (t TLS) Validate() error {
	if !t.Off {
		return fmt.Errorf("tls: missing or %w: this version knows only tls: off", release.ErrInvalid)
	}
	return nil
}

// UnmarshalText reads "off", the one value that is accepted so far.
func (t *TLS) UnmarshalText(b []byte) error {
	if string(b) != "off" {
		return fmt.Errorf("tls: %w value %q: this version knows only tls: off", release.ErrInvalid, b)
	}
	t.Off = true
	return nil
}
