package transport

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"crow/internal/release"
)

func TestOpenNamesWhatIsWrong(t *testing.T) {
	a := newAuthority(t)
	l := a.issue(RolePeer, "web-1", nil)
	for name, test := range map[string]struct {
		change func(TLS)
		err    string
	}{
		"no CA file":     {func(f TLS) { os.Remove(f.CA) }, "tls: invalid file: stat "},
		"no PEM":         {func(f TLS) { write(t, f.CA, []byte("x")) }, "tls: invalid ca: no certificate"},
		"no list":        {func(f TLS) { write(t, f.CRL, nil) }, "tls: invalid crl: no revocation list"},
		"other key":      {func(f TLS) { write(t, f.Key, a.issue(RolePeer, "x", nil).keys) }, "tls: invalid cert "},
		"huge":           {func(f TLS) { write(t, f.CRL, make([]byte, maxFileLen+1)) }, "tls: crl: read "},
		"revoked itself": {func(f TLS) { write(t, f.CRL, a.revoke(l)) }, "certificate of web-1 was revoked"},
		"of another CA":  {func(f TLS) { f.put(t, newAuthority(t).issue(RolePeer, "web-1", nil)) }, "does not vouch"},
		"of no role":     {func(f TLS) { f.put(t, a.issue("boss", "web-1", nil)) }, `is of role "boss"`},
		"expired":        {func(f TLS) { f.put(t, samples(a)["expired"].leaf) }, "certificate of web-1 expired"},
	} {
		f := a.files(l)
		test.change(f)
		s, err := Open(f, true, nil)
		if err == nil || !strings.Contains(err.Error(), test.err) || !strings.HasPrefix(err.Error(), "tls: ") || s.On() {
			t.Errorf("%s: %v, want %s", name, err, test.err)
		}
	}
	if _, err := Open(TLS{}, true, nil); !errors.Is(err, release.ErrInvalid) {
		t.Errorf("no config: %v", err)
	}
	if s, err := Open(TLS{Off: true}, true, nil); err != nil || s.On() || !s.Insecure {
		t.Errorf("off: %+v, %v", s, err)
	}
}

// whoIs dials and returns the name of who answers.
func whoIs(t *testing.T, client Security, addr string) string {
	t.Helper()
	c := must[net.Conn](t)(client.Dial(t.Context(), addr))
	id, _ := PeerIdentity(c)
	if err := hear(c, nil); err != nil {
		t.Fatal(err)
	}
	return id.Name
}

func TestOwnCertificateIsRenewed(t *testing.T) {
	a := newAuthority(t)
	server, f, logs := a.watched(RoleSeeder, "seeder-1")
	client, _ := a.open(a.issue(RolePeer, "web-1", nil), nil)
	addr, _ := greet(t, server)
	if got := whoIs(t, client, addr); got != "seeder-1" {
		t.Fatal(got)
	}
	next := a.issue(RoleSeeder, "seeder-2", nil)
	write(t, f.Cert, next.pem) // its key is not there yet
	for range 3 {
		if got := whoIs(t, client, addr); got != "seeder-1" {
			t.Errorf("half a change was taken up: %s", got)
		}
	}
	if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 1 {
		t.Errorf("told %d times, want once: %s", n, logged(logs))
	}
	write(t, f.Key, next.keys)
	if got := whoIs(t, client, addr); got != "seeder-2" || server.Identity().Name != got || !server.Expires().Equal(next.cert.NotAfter) {
		t.Errorf("got %s", got)
	}
	f.put(t, newAuthority(t).issue(RoleSeeder, "seeder-3", nil))
	if got := whoIs(t, client, addr); got != "seeder-2" {
		t.Errorf("a certificate that nobody takes is in use: %s", got)
	}
}

func TestCAIsReplaced(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	server, f := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	old, _ := a.open(a.issue(RolePeer, "web-1", nil), nil)
	renewed, rf := b.open(b.issue(RolePeer, "web-2", nil), nil)
	both := slices.Concat(a.pem, b.pem)
	write(t, rf.CA, both)
	addr, _ := greet(t, server)
	ask := func(client Security) error { return hear(client.Dial(t.Context(), addr)) }
	if err := ask(renewed); !errors.Is(err, ErrRefused) {
		t.Errorf("before: %v", err)
	}
	write(t, f.CA, both)
	if err := errors.Join(ask(renewed), ask(old)); err != nil {
		t.Errorf("with both: %v", err)
	}
	f.put(t, b.issue(RoleSeeder, "seeder-1", nil))
	write(t, f.CRL, b.revoke())
	write(t, f.CA, b.pem)
	if err := ask(old); !errors.Is(err, ErrUntrustedPeer) {
		t.Errorf("the old one meets the new: %v", err)
	}
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*old.keys.current().own.cert}})
	if err := hear(c, err); !errors.Is(refused(err), ErrRefused) {
		t.Errorf("the new one meets the old: %v", err)
	}
	if err := ask(renewed); err != nil {
		t.Errorf("after: %v", err)
	}
}

func TestRevocationIsTakenUp(t *testing.T) {
	a := newAuthority(t)
	server, f, logs := a.watched(RoleSeeder, "seeder-1")
	l := a.issue(RolePeer, "web-1", nil)
	client, _ := a.open(l, nil)
	addr, _ := greet(t, server)
	ask := func() error { return hear(client.Dial(t.Context(), addr)) }
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	write(t, f.Cert, []byte("x")) // must not hold up the list
	write(t, f.CRL, a.revoke(l))
	if err := ask(); !errors.Is(err, ErrRefused) {
		t.Errorf("revoked: %v", err)
	}
	write(t, f.CRL, []byte("x"))
	os.Remove(f.CA)
	for range 3 {
		if err := ask(); !errors.Is(err, ErrRefused) {
			t.Errorf("a broken list revokes nothing: %v", err)
		}
	}
	write(t, f.CA, a.pem)
	write(t, f.CRL, a.revoke())
	if err := ask(); err != nil {
		t.Errorf("revoked no more: %v", err)
	}
	if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n != 3 { // cert; the missing file; cert again
		t.Errorf("told %d times: %s", n, logged(logs))
	}
}

// An old copy of the list, or none, revokes nothing less than the one in force;
// nor does a restart know of that one.
func TestOlderListIsNotTakenUp(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	server, f, logs := a.watched(RoleSeeder, "seeder-1")
	l := a.issue(RolePeer, "web-1", nil)
	client, _ := a.open(l, nil)
	addr, _ := greet(t, server)
	ask := func() error { return hear(client.Dial(t.Context(), addr)) }
	write(t, f.CA, slices.Concat(a.pem, b.pem))
	for _, step := range []struct {
		name    string
		crl     []byte
		refused bool
		why     string
	}{
		{"a newer one", a.list(7, l), true, ""},
		{"an older one", a.list(6), true, "older than the one in force: number 6, not 7"},
		{"the other CA's alone", b.list(9), true, "is not in it, and number 7 is in force"},
		{"an older one with the other CA's", slices.Concat(b.list(9), a.list(6)), true, "number 6, not 7"},
		{"one behind an older one", slices.Concat(a.list(6), a.list(8)), false, ""},
	} {
		write(t, f.CRL, step.crl)
		if err := ask(); errors.Is(err, ErrRefused) != step.refused || !step.refused && err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if step.why != "" {
			awaitLog(t, logs, step.why)
		}
	}
	write(t, f.CRL, a.list(1))
	if _, err := Open(f, false, nil); err != nil {
		t.Errorf("at a start: %v", err)
	}
}

// The files are looked at now and then only.
func TestFilesAreLookedAtNowAndThen(t *testing.T) {
	a := newAuthority(t)
	now := time.Now()
	f := a.files(a.issue(RolePeer, "web-1", nil))
	k := must[*keys](t)(openKeys(f, zap.NewNop(), func() time.Time { return now }))
	f.put(t, a.issue(RolePeer, "web-2", nil))
	for _, test := range []struct {
		after time.Duration
		name  string
	}{{0, "web-1"}, {lookEvery - 1, "web-1"}, {1, "web-2"}} {
		now = now.Add(test.after)
		if got := k.current().own.id.Name; got != test.name {
			t.Errorf("after %s: %s", test.after, got)
		}
	}
}

// Who puts a certificate in place that ends soon hears of it then, and once.
func TestCertificateThatEndsSoonIsToldOfAtOnce(t *testing.T) {
	a := newAuthority(t)
	now := time.Now()
	lasting := func(d time.Duration) leaf {
		return a.issue(RolePeer, "web-1", func(c *x509.Certificate) { c.NotAfter = now.Add(d) })
	}
	f := a.files(lasting(2 * ExpiryNotice))
	core, logs := observer.New(zap.WarnLevel)
	k := must[*keys](t)(openKeys(f, zap.New(core), func() time.Time { return now }))
	k.every = 0
	for i, change := range []func(){
		func() {},
		func() { f.put(t, lasting(ExpiryNotice-time.Hour)) },
		func() { write(t, f.CRL, a.revoke()) },
		func() { f.put(t, lasting(2*ExpiryNotice)) },
	} {
		change()
		k.current()
		if n := logs.FilterMessageSnippet("certificate ends soon").Len(); n != min(i, 1) {
			t.Errorf("after change %d: told %d times: %s", i, n, logged(logs))
		}
	}
}

// A certificate that came before its time is in use once that has come.
func TestEarlyCertificateIsTakenUpLater(t *testing.T) {
	a := newAuthority(t)
	now := time.Now()
	f := a.files(a.issue(RolePeer, "web-1", nil))
	k := must[*keys](t)(openKeys(f, zap.NewNop(), func() time.Time { return now }))
	f.put(t, a.issue(RolePeer, "web-2", func(c *x509.Certificate) { c.NotBefore = now.Add(time.Minute) }))
	for _, want := range []string{"web-1", "web-2"} {
		now = now.Add(40 * time.Second)
		if got := k.current().own.id.Name; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A resumed session is checked like a new one, with the certificate that it
// began with.
func TestResumedSessionsAreChecked(t *testing.T) {
	for name, test := range map[string]struct {
		change func(f TLS, a *authority, l leaf) (later time.Duration)
		why    string
	}{
		"revoked": {func(f TLS, a *authority, l leaf) time.Duration {
			write(t, f.CRL, a.revoke(l))
			return 0
		}, "certificate of web-1 was revoked"},
		"other CA": {func(f TLS, _ *authority, _ leaf) time.Duration {
			b := newAuthority(t)
			write(t, f.CRL, b.revoke())
			write(t, f.CA, b.pem)
			return 0
		}, "does not vouch"},
		"expired": {func(TLS, *authority, leaf) time.Duration { return 2 * time.Hour }, "certificate of web-1 expired"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t)
			server, f, logs := a.watched(RoleSeeder, "seeder-1")
			var later atomic.Int64
			server.keys.clock = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
			addr, _ := greet(t, server)
			l := a.issue(RolePeer, "web-1", nil)
			config := &tls.Config{
				InsecureSkipVerify: true, Certificates: []tls.Certificate{l.pair}, ServerName: "seeder-1",
				ClientSessionCache: tls.NewLRUClientSessionCache(1),
			}
			for i, resumed := range []bool{false, true} {
				c := must[*tls.Conn](t)(tls.Dial("tcp", addr, config))
				if got := c.ConnectionState().DidResume; got != resumed {
					t.Fatalf("connection %d: resumed is %t", i, got)
				}
				if err := hear(c, nil); err != nil {
					t.Fatal(err)
				}
			}
			later.Store(int64(test.change(f, a, l)))
			c, err := tls.Dial("tcp", addr, config)
			if err := hear(c, err); !errors.Is(refused(err), ErrRefused) {
				t.Errorf("client: %v", err)
			}
			awaitLog(t, logs, test.why)
		})
	}
}

// crow's own clients don't resume: they would go on with certificates that have
// been renewed.
func TestClientsDontResume(t *testing.T) {
	a := newAuthority(t)
	server, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	addr, _ := greet(t, server)
	for range 2 {
		c := must[net.Conn](t)(server.Dial(t.Context(), addr))
		if c.(*conn).ConnectionState().DidResume {
			t.Error("resumed")
		}
		if err := hear(c, nil); err != nil {
			t.Error(err)
		}
	}
}
