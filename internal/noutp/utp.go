// Package utp stands in for github.com/anacrolix/go-utp.
//
// The torrent library offers uTP (BEP 29), a transport that yields to other
// traffic on slow access links. crow moves builds inside a datacenter over TCP
// and turns uTP off, so this module offers the names that the library compiles
// against and refuses to open a socket. Without the original, a wrapper round a
// C++ library, the binary is static.
package utp

import (
	"context"
	"errors"
	"log/slog"
	"net"
)

// Default names the implementation in the library's error messages.
const Default = "none"

// ErrUnsupported is what both constructors return.
var ErrUnsupported = errors.New("uTP is not part of this build")

// FirewallCallback decides whether a packet from an unknown address is dropped.
type FirewallCallback func(net.Addr) bool

// Option configures a Socket.
type Option func()

// Socket is the part of a uTP socket that the torrent library calls.
type Socket interface {
	net.PacketConn
	Accept() (net.Conn, error)
	Addr() net.Addr
	DialContext(ctx context.Context, network, addr string) (net.Conn, error)
	SetFirewallCallback(FirewallCallback)
}

// WithLogger returns an option without effect.
func WithLogger(*slog.Logger) Option { return func() {} }

// NewSocket returns ErrUnsupported.
func NewSocket(_, _ string, _ ...Option) (Socket, error) { return nil, ErrUnsupported }

// NewSocketFromPacketConn returns ErrUnsupported.
func NewSocketFromPacketConn(net.PacketConn, ...Option) (Socket, error) {
	return nil, ErrUnsupported
}
