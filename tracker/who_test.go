package tracker

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/http/httptest"
	"net/netip"
	"testing"
)

func TestMayAnnounce(t *testing.T) {
	own := []net.IP{net.ParseIP("10.0.0.21"), net.ParseIP("fd00::21")}
	tests := []struct {
		name  string
		role  string
		ips   []net.IP
		addrs []string
		want  error
	}{
		{"own address", "peer", own, []string{"10.0.0.21:7401"}, nil},
		{"both own addresses", "peer", own, []string{"10.0.0.21:7401", "[fd00::21]:7401"}, nil},
		{"a seeder", "seeder", own, []string{"10.0.0.21:7401"}, nil},
		{"another's", "peer", own, []string{"10.0.0.22:7401"}, failForeignIP},
		{"another's besides the own", "peer", own, []string{"10.0.0.21:7401", "[fd00::22]:7401"}, failForeignIP},
		{"the caller's, not the certificate's", "peer", own, []string{"10.0.0.9:7401"}, failForeignIP},
		{"the caller's, without any in the certificate", "peer", nil, []string{"10.0.0.9:7401"}, nil},
		{"another's, without any in the certificate", "peer", nil, []string{"10.0.0.21:7401"}, failForeignIP},
		{"an operator", "operator", own, []string{"10.0.0.21:7401"}, failRole},
		{"no role", "", own, []string{"10.0.0.21:7401"}, failRole},
	}
	for _, tt := range tests {
		r := httptest.NewRequest("GET", PathAnnounce, nil)
		r.RemoteAddr = "10.0.0.9:50000"
		r.TLS = &tls.ConnectionState{HandshakeComplete: true, PeerCertificates: []*x509.Certificate{{
			Subject:     pkix.Name{CommonName: "web-1", Organization: []string{"fleet"}, OrganizationalUnit: []string{tt.role}},
			IPAddresses: tt.ips,
		}}}
		var addrs []netip.AddrPort
		for _, a := range tt.addrs {
			addrs = append(addrs, netip.MustParseAddrPort(a))
		}
		if err := mayAnnounce(r, addrs); err != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
	plain := httptest.NewRequest("GET", PathAnnounce, nil)
	if err := mayAnnounce(plain, []netip.AddrPort{netip.MustParseAddrPort("10.0.0.22:1")}); err != nil {
		t.Errorf("without TLS: %v", err)
	}
}
