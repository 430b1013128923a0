package main

import (
	"cmp"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"crow/internal/pki"
	"crow/internal/transport"
)

// defaultSeederPort is that of the control API.
const defaultSeederPort = "7400"

// seederAddress is where a new fleet's seeder will be.
type seederAddress struct {
	hosts []string // IPs and DNS names for its certificate; the first is what others call
	port  string   // of its control API
	ip    string   // the first that is one: gossip and the swarm know no names
}

// seederAddressOf reads addresses as crow init --seeder takes them: HOST or
// HOST:PORT. Without any, the seeder is on this machine.
func seederAddressOf(addresses []string) (seederAddress, error) {
	if len(addresses) == 0 {
		addresses = []string{"127.0.0.1"}
	}
	var at seederAddress
	for _, a := range addresses {
		host, port, ok := splitAddress(a)
		if !ok || port != "" && at.port != "" && port != at.port {
			return at, usagef("--seeder %q: want HOST or HOST:PORT, with the same port for all", a)
		}
		at.hosts, at.port = append(at.hosts, host), cmp.Or(at.port, port)
		if _, err := netip.ParseAddr(host); err == nil && at.ip == "" {
			at.ip = host
		}
	}
	at.port = cmp.Or(at.port, defaultSeederPort)
	wanted := pki.Request{Role: string(transport.RoleSeeder), Name: seederName, Hosts: at.hosts}
	if err := wanted.Validate(); err != nil {
		return at, usagef("--seeder: %v", err)
	}
	if at.ip == "" {
		return at, &fault{
			kind: usage, text: "--seeder: no IP among the addresses: hosts find each other and the seeder by IP",
			hint: "name both: --seeder " + at.hosts[0] + " --seeder 10.0.0.5",
		}
	}
	return at, nil
}

// splitAddress takes an address apart, also if it is written as a URL; port is
// empty if there is none.
func splitAddress(s string) (host, port string, ok bool) {
	s = strings.TrimSuffix(strings.TrimPrefix(s, "https://"), "/")
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), "", true
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return host, port, err == nil && n > 0
}

// url is what operators and hosts call the seeder by.
func (at seederAddress) url() string { return "https://" + net.JoinHostPort(at.hosts[0], at.port) }
