// Package transport is where crow listens and dials: one place for each, so
// that what protects a connection is decided once.
//
// With TLS on, both ends of each connection show a certificate of the fleet's
// own CA, and each checks the other's: at every handshake, resumed sessions
// included. What a host of some role may then ask for is for the rooms that
// serve it; IdentityOf and PeerIdentity tell them who asks.
package transport

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"go.uber.org/zap"

	"crow/internal/release"
)

// ErrInsecure marks an address off loopback at which traffic would be in the
// clear without the config saying that this is meant. Listen, ListenTCP and
// ListenPacket check for it; whom to dial is for the caller to Check.
var ErrInsecure = errors.New("tls is off on a network address")

// Security says how connections are protected. The zero value is TLS off, on
// loopback only. Copies share what Open loaded.
type Security struct {
	// Insecure allows TLS to be off on addresses other than loopback.
	Insecure bool
	keys     *keys // nil: TLS is off
}

// Open loads the files that the config names and checks that the host's own
// certificate is good for the fleet today. Later changes of the files are taken
// up as handshakes happen; log, which may be nil, tells of those that can't be.
// Errors name the file; files that can't be used are release.ErrInvalid.
func Open(config TLS, insecure bool, log *zap.Logger) (Security, error) {
	if err := config.Validate(); err != nil {
		return Security{}, err
	}
	if config.Off {
		return Security{Insecure: insecure}, nil
	}
	if log == nil {
		log = zap.NewNop()
	}
	k, err := openKeys(config, log, time.Now)
	if err != nil {
		return Security{}, err
	}
	return Security{Insecure: insecure, keys: k}, nil
}

// On reports whether connections are protected by TLS.
func (s Security) On() bool { return s.keys != nil }

// Scheme is that of URLs of servers that Listen accepts for.
func (s Security) Scheme() string {
	if s.On() {
		return "https"
	}
	return "http"
}

// Identity is who this host is by its own certificate; zero with TLS off.
func (s Security) Identity() Identity {
	if !s.On() {
		return Identity{}
	}
	return s.keys.current().own.id
}

// Expires is when the host's own certificate ends; zero with TLS off.
func (s Security) Expires() time.Time { return s.Identity().NotAfter }

// Recheck reports ErrUntrustedPeer if the certificate that a request's
// connection was opened with has expired or was revoked since, itself or with its
// CA, so that a kept connection is no way round that. With TLS off there is
// nothing to check.
func (s Security) Recheck(r *http.Request) error {
	if !s.On() {
		return nil
	}
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return fmt.Errorf("%w: it sent no certificate", ErrUntrustedPeer)
	}
	if err := s.keys.current().trust.still(r.TLS.PeerCertificates[0], s.keys.clock()); err != nil {
		return fmt.Errorf("%w: %w", ErrUntrustedPeer, err)
	}
	return nil
}

// Check reports ErrInsecure if traffic in the clear to or at addr, a host and
// port, is not allowed, and release.ErrInvalid if addr is none.
func (s Security) Check(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if _, rangeErr := strconv.ParseUint(port, 10, 16); err != nil || rangeErr != nil {
		return fmt.Errorf("%w address %q: want host:port, with a port from 0 to 65535", release.ErrInvalid, addr)
	}
	if s.On() || s.Insecure || IsLoopback(host) {
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
