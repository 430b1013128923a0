package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// Listen binds a TCP address. With TLS on, what it accepts are *tls.Conn of hosts
// and operators of the fleet, their handshakes done. Close ends those that are
// under way, and waits for them.
func (s Security) Listen(addr string) (net.Listener, error) {
	l, err := s.ListenTCP(addr)
	if err != nil || !s.On() {
		return l, err
	}
	return newListener(l, s.keys), nil
}

// ListenTCP binds a TCP address, bare: what it accepts is for Server to protect.
func (s Security) ListenTCP(addr string) (net.Listener, error) {
	if err := s.Check(addr); err != nil {
		return nil, err
	}
	l, err := (&net.ListenConfig{KeepAlive: keepAlivePeriod}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, cause(err))
	}
	return l, nil
}

// ListenPacket binds a UDP address. TLS does not protect that: gossip, which
// uses it, has a key of its own.
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
