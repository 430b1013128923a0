package gossip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"crow/internal/transport"
)

// bindTries is how often a port that is free for TCP is looked for that is
// free for UDP too, where the config leaves the port open.
const bindTries = 10

// bind takes one port for TCP and UDP.
func bind(listen string) (net.Listener, *net.UDPConn, error) {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, nil, fmt.Errorf("listen address %q: want host:port", listen)
	}
	tries := 1
	if port == "0" {
		tries = bindTries
	}
	for range tries {
		tcp, udp, tryErr := bindOnce(listen)
		if tryErr == nil {
			return tcp, udp, nil
		}
		err = tryErr
	}
	var errno syscall.Errno
	if errors.As(err, &errno) { // what is around it repeats the address
		err = errno
	}
	return nil, nil, fmt.Errorf("listen on %s: %w", listen, err)
}

func bindOnce(listen string) (net.Listener, *net.UDPConn, error) {
	// The key protects gossip, not TLS; whether it may go without one is for
	// whoever reads the config.
	tcp, err := transport.Security{Insecure: true}.Listen(listen)
	if err != nil {
		return nil, nil, err
	}
	bound := tcp.Addr().(*net.TCPAddr) // a TCP listener has no other
	udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: bound.IP, Port: bound.Port, Zone: bound.Zone})
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	return tcp, udp, nil
}

// advertised joins the bound port to the IP that the others shall use.
func advertised(bound net.Addr, advertise string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(bound.String())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("bound address %s: %w", bound, err)
	}
	ip := addr.Addr()
	if advertise != "" {
		if ip, err = netip.ParseAddr(advertise); err != nil {
			return netip.AddrPort{}, fmt.Errorf("advertise: %q is not an IP address", advertise)
		}
	}
	ip = ip.Unmap().WithZone("")
	if ip.IsUnspecified() {
		return netip.AddrPort{}, fmt.Errorf("advertise: %s is no address that others can reach", ip)
	}
	return netip.AddrPortFrom(ip, addr.Port()), nil
}
