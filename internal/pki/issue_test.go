package pki

import (
	"crypto/x509"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"crow/internal/release"
)

func TestNewCA(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca, err := NewCA("crows", now)
	if err != nil {
		t.Fatal(err)
	}
	cert := parse(t, ca.Cert())
	if ca.Fleet() != "crows" || !slices.Equal(cert.Subject.Organization, []string{"crows"}) || !cert.IsCA || !cert.MaxPathLenZero {
		t.Errorf("subject %s, ca %t", cert.Subject, cert.IsCA)
	}
	if !cert.NotBefore.Equal(now.Add(-time.Hour)) || !ca.NotAfter().Equal(now.AddDate(10, 0, 0)) {
		t.Errorf("from %s to %s", cert.NotBefore, cert.NotAfter)
	}
	if err := cert.CheckSignatureFrom(cert); err != nil {
		t.Error(err)
	}
	for _, fleet := range []string{"", "a b", "../x", strings.Repeat("a", 129)} {
		if _, err := NewCA(fleet, now); !errors.Is(err, release.ErrInvalid) {
			t.Errorf("fleet %q: error %v", fleet, err)
		}
	}
}

func TestIssue(t *testing.T) {
	ca := newCA(t)
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	ca.Now = func() time.Time { return now }
	text, _ := issue(t, ca, Request{Role: "seeder", Name: "seeder-1", Hosts: []string{"10.0.0.5", "::ffff:10.0.0.6", "fd00::1", "seeder-1.example.org"}})
	cert := parse(t, text)
	if got := cert.Subject.String(); got != "CN=seeder-1,OU=seeder,O=crows" {
		t.Errorf("subject %s", got)
	}
	if !cert.NotBefore.Equal(now.Add(-time.Hour)) || !cert.NotAfter.Equal(now.AddDate(1, 0, 0)) || cert.IsCA {
		t.Errorf("from %s to %s, ca %t", cert.NotBefore, cert.NotAfter, cert.IsCA)
	}
	if !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}) {
		t.Errorf("uses %v", cert.ExtKeyUsage)
	}
	for _, host := range []string{"10.0.0.5", "10.0.0.6", "fd00::1", "seeder-1.example.org"} {
		if err := cert.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if cert.VerifyHostname("seeder-1") == nil || cert.VerifyHostname("10.0.0.7") == nil {
		t.Error("it holds for a host that was not asked for")
	}
	again, _ := issue(t, ca, Request{Role: "peer", Name: "seeder-1"})
	if parse(t, again).SerialNumber.Cmp(cert.SerialNumber) == 0 {
		t.Error("two certificates have the same number")
	}
}

func TestIssueForHowLong(t *testing.T) {
	ca := newCA(t)
	tests := []struct {
		name     string
		now      time.Time
		lifetime time.Duration
		want     time.Time // the end; zero: it is refused
	}{
		{"a year", ca.NotAfter().AddDate(-5, 0, 0), 0, ca.NotAfter().AddDate(-5, 0, 365)},
		{"an hour", ca.NotAfter().AddDate(-5, 0, 0), time.Hour, ca.NotAfter().AddDate(-5, 0, 0).Add(time.Hour)},
		{"longer than the ca", ca.NotAfter().AddDate(-1, 0, 0), 1000 * 24 * time.Hour, ca.NotAfter()},
		{"a year, in the ca's last days", ca.NotAfter().Add(-time.Hour), 0, ca.NotAfter()},
		{"after the ca", ca.NotAfter(), 0, time.Time{}},
	}
	for _, tt := range tests {
		ca.Now = func() time.Time { return tt.now }
		text, _, err := ca.Issue(Request{Role: "peer", Name: "web-1", Lifetime: tt.lifetime})
		if tt.want.IsZero() {
			if err == nil || !strings.Contains(err.Error(), "ca expired on") {
				t.Errorf("%s: error %v", tt.name, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if got := parse(t, text).NotAfter; !got.Equal(tt.want) {
			t.Errorf("%s: until %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestRequestValidate(t *testing.T) {
	hosts := func(h ...string) Request { return Request{Role: "peer", Name: "web-1", Hosts: h} }
	good := map[string]Request{
		"operator":     {Role: "operator", Name: "anna"},
		"peer":         {Role: "peer", Name: "web-1"},
		"tracker":      {Role: "tracker", Name: "t", Hosts: []string{"t"}},
		"names":        hosts("a", "a-b.C_d", "x1.example", strings.Repeat("a", 63)+".org", "localhost"),
		"addresses":    hosts("127.0.0.1", "::1", "255.255.255.255"),
		"longest name": {Role: "peer", Name: strings.Repeat("a", release.MaxHostLen)},
		"most hosts":   hosts(slices.Repeat([]string{"a"}, MaxHosts)...),
	}
	for name, r := range good {
		if err := r.Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	bad := map[string]Request{
		"no role":           {Name: "web-1"},
		"a role's case":     {Role: "Peer", Name: "web-1"},
		"another role":      {Role: "admin", Name: "web-1"},
		"no name":           {Role: "peer"},
		"a bad name":        {Role: "peer", Name: "a,OU=operator"},
		"a long name":       {Role: "peer", Name: strings.Repeat("a", release.MaxHostLen+1)},
		"negative":          {Role: "peer", Name: "web-1", Lifetime: -1},
		"seeder, no host":   {Role: "seeder", Name: "s"},
		"tracker, no host":  {Role: "tracker", Name: "t"},
		"too many hosts":    hosts(slices.Repeat([]string{"a"}, MaxHosts+1)...),
		"an empty host":     hosts(""),
		"a port":            hosts("10.0.0.1:7400"),
		"a name and port":   hosts("a:7400"),
		"a URL":             hosts("https://a"),
		"a wildcard":        hosts("*.example.org"),
		"a zone":            hosts("fe80::1%eth0"),
		"all addresses":     hosts("0.0.0.0"),
		"all IPv6":          hosts("::"),
		"all, mapped":       hosts("::ffff:0.0.0.0"),
		"a network":         hosts("10.0.0.0/8"),
		"a mistyped IP":     hosts("10.0.0.256"),
		"a number":          hosts("7"),
		"an empty label":    hosts("a..b"),
		"a dot at the end":  hosts("a.b."),
		"a dash first":      hosts("-a"),
		"a dash last":       hosts("a-.b"),
		"a long label":      hosts(strings.Repeat("a", 64)),
		"a long host":       hosts(strings.Repeat("a.", 130) + "b"),
		"a space":           hosts("a b"),
		"not ASCII":         hosts("zürich.example"),
		"one bad of two":    hosts("a", "b c"),
		"a control":         hosts("a\n"),
		"an escape and all": hosts(strings.Repeat("\x1b", 1000)),
	}
	ca := newCA(t)
	for name, r := range bad {
		if _, _, err := ca.Issue(r); !errors.Is(err, release.ErrInvalid) || len(err.Error()) > 500 {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// Whatever host is accepted, the certificate holds for it when it is dialled.
func FuzzHosts(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "fd00::1", "::ffff:1.2.3.4", "a.example", "1.a", "*.a", "fe80::1%a", "0x7f.1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ips, names, err := addresses([]string{s})
		if err != nil {
			if !errors.Is(err, release.ErrInvalid) || len(ips)+len(names) > 0 {
				t.Errorf("%q: %v, %v, error %v", s, ips, names, err)
			}
			return
		}
		cert := &x509.Certificate{IPAddresses: ips, DNSNames: names}
		if err := cert.VerifyHostname(s); err != nil || len(ips)+len(names) != 1 {
			t.Errorf("%q: %v", s, err)
		}
		if ip, err := netip.ParseAddr(s); err == nil && len(ips) != 1 {
			t.Errorf("%s is not an address", ip)
		}
	})
}
