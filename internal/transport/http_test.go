package transport

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// answer serves requests until the test ends; it returns the server's URL.
func answer(t *testing.T, s Security, h http.HandlerFunc) string {
	t.Helper()
	l := must[net.Listener](t)(s.Listen("127.0.0.1:0"))
	server := &http.Server{Handler: h}
	done := make(chan error)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return s.Scheme() + "://" + l.Addr().String()
}

func TestHTTPClientChecksRole(t *testing.T) {
	a := newAuthority(t)
	client, _ := a.open(a.issue(RolePeer, "web-1", nil), nil)
	for name, test := range map[string]struct {
		server Role
		want   []Role
		ok     bool
	}{
		"a seeder":                    {RoleSeeder, nil, true},
		"a peer that says it is one":  {RolePeer, nil, false},
		"a tracker":                   {RoleTracker, []Role{RoleTracker}, true},
		"a seeder as tracker":         {RoleSeeder, []Role{RoleTracker}, false},
		"a seeder with a tracker":     {RoleSeeder, []Role{RoleTracker, RoleSeeder}, true},
		"an operator, where any goes": {RoleOperator, knownRoles, true},
	} {
		t.Run(name, func(t *testing.T) {
			server, _ := a.open(a.issue(test.server, "host-1", nil), nil)
			url := answer(t, server, func(w http.ResponseWriter, r *http.Request) {
				id, ok := IdentityOf(r)
				if !ok || server.Recheck(r) != nil || r.Proto != "HTTP/1.1" {
					t.Errorf("%+v, %t, %s", id, ok, r.Proto)
				}
				io.WriteString(w, id.Name)
			})
			c := client.HTTPClient(test.want...)
			defer c.CloseIdleConnections()
			res, err := c.Get(url)
			if !test.ok {
				if !errors.Is(err, ErrUntrustedPeer) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if b, err := io.ReadAll(res.Body); err != nil || string(b) != "web-1" {
				t.Errorf("%q, %v", b, err)
			}
		})
	}
}

func TestHTTPClientLearnsThatItIsRefused(t *testing.T) {
	a := newAuthority(t)
	l := a.issue(RolePeer, "web-1", nil)
	client, _ := a.open(l, nil)
	server, f := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	write(t, f.CRL, a.revoke(l))
	url := answer(t, server, func(http.ResponseWriter, *http.Request) { t.Error("served") })
	c := client.HTTPClient()
	for range 20 {
		if _, err := c.Post(url, "text/plain", strings.NewReader(strings.Repeat("x", 1<<20))); !errors.Is(err, ErrRefused) {
			t.Fatal(err)
		}
	}
}

// A redirect is no way round TLS.
func TestHTTPClientStaysWithTLS(t *testing.T) {
	a := newAuthority(t)
	s, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	plain := answer(t, Security{}, func(http.ResponseWriter, *http.Request) { t.Error("called in the clear") })
	url := answer(t, s, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain, http.StatusFound) })
	c := s.HTTPClient()
	defer c.CloseIdleConnections()
	for _, u := range []string{url, plain} {
		if _, err := c.Get(u); !errors.Is(err, errClear) {
			t.Errorf("%s: %v", u, err)
		}
	}
}

func TestRecheck(t *testing.T) {
	a := newAuthority(t)
	s, f := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	l := a.issue(RolePeer, "web-1", nil)
	client, _ := a.open(l, nil)
	url := answer(t, s, func(w http.ResponseWriter, r *http.Request) {
		if err := s.Recheck(r); err != nil {
			io.WriteString(w, err.Error())
		}
	})
	c := client.HTTPClient()
	defer c.CloseIdleConnections()
	revoke := func() { write(t, f.CRL, a.revoke(l)) }
	changeCA := func() {
		b := newAuthority(t)
		write(t, f.CRL, b.revoke())
		write(t, f.CA, b.pem)
	}
	for _, test := range []struct {
		change func()
		want   string
	}{
		{func() {}, ""},
		{revoke, "other end is not trusted: certificate of web-1 was revoked"},
		{changeCA, "other end is not trusted: certificate of web-1 is of a CA that is trusted no more"},
	} {
		test.change()
		res, err := c.Get(url) // on one connection
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.HasPrefix(string(b), test.want) || test.want == "" && len(b) > 0 {
			t.Errorf("%q, want %q", b, test.want)
		}
	}
	r, _ := http.NewRequest(http.MethodGet, url, nil)
	if _, ok := IdentityOf(r); ok || !errors.Is(s.Recheck(r), ErrUntrustedPeer) || (Security{}).Recheck(r) != nil {
		t.Error("a request without TLS")
	}
}
