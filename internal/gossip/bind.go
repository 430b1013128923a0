package gossip

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"crow/internal/transport"
)

// bindTries is how often a port that is free for TCP is looked for that is
// free for UDP too, where the config leaves the port open.
const bindTries = 10

// bind takes one port for TCP and UDP.
func bind(listen string) (net.Listener, *net.UDPConn, error) {
	tries := 1
	if _, port, err := net.SplitHostPort(listen); err == nil && port == "0" {
		tries = bindTries
	}
	var err error
	for range tries {
		var tcp net.Listener
		var udp *net.UDPConn
		if tcp, udp, err = bindOnce(listen); err == nil {
			return tcp, udp, nil
		}
	}
	return nil, nil, err
}

func bindOnce(listen string) (net.Listener, *net.UDPConn, error) {
	// The key protects gossip, not TLS; whether it may go without one is for
	// whoever reads the config.
	s := transport.Security{Insecure: true}
	tcp, err := s.Listen(listen)
	if err != nil {
		return nil, nil, err
	}
	udp, err := s.ListenPacket(tcp.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, tcp.Close())
	}
	return tcp, udp.(*net.UDPConn), nil // there is no other for UDP
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
