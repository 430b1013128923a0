package gossip

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

func mustAddr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestPortInUse(t *testing.T) {
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close() //nolint:errcheck // the test ends
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close() //nolint:errcheck // the test ends
	for _, addr := range []net.Addr{tcp.Addr(), udp.LocalAddr()} {
		c := config(t, "web-1")
		c.Listen = addr.String()
		want := "gossip: listen on " + addr.String() + ": address already in use"
		if _, err := New(c); err == nil || err.Error() != want {
			t.Errorf("%s in use: %v, want %s", addr.Network(), err, want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		want   string // in the error
	}{
		"name":                {func(c *Config) { c.Name = "a b" }, "name"},
		"key":                 {func(c *Config) { c.Keys = [][]byte{oldKey, []byte("short")} }, "keys: invalid key 2: 5 bytes"},
		"many keys":           {func(c *Config) { c.Keys = make([][]byte, MaxKeys+1) }, "keys: invalid keys: more than 4"},
		"listen":              {func(c *Config) { c.Listen = "7402" }, "want host:port"},
		"foreign listen":      {func(c *Config) { c.Listen = "192.0.2.1:0" }, "listen on 192.0.2.1:0: cannot assign requested address"},
		"advertise":           {func(c *Config) { c.Advertise = "seeder" }, "advertise"},
		"advertise nowhere":   {func(c *Config) { c.Advertise = "0.0.0.0" }, "advertise"},
		"advertise left open": {func(c *Config) { c.Listen = "0.0.0.0:0" }, "advertise"},
		"join":                {func(c *Config) { c.Join = []string{"10.0.0.5"} }, "join"},
		"join port":           {func(c *Config) { c.Join = []string{"10.0.0.5:0"} }, "join"},
		"join host":           {func(c *Config) { c.Join = []string{":7402"} }, "join"},
		"many joins":          {func(c *Config) { c.Join = make([]string, maxJoin+1) }, "join"},
		"tags":                {func(c *Config) { c.Tags = map[string]string{"role": strings.Repeat("x", 600)} }, "tags"},
	}
	for name, test := range tests {
		c := config(t, "web-1")
		test.change(&c)
		if _, err := New(c); err == nil || !strings.HasPrefix(err.Error(), "gossip: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestAdvertise(t *testing.T) {
	t.Parallel()
	c := config(t, "seeder-1")
	c.Listen, c.Advertise = "0.0.0.0:0", "127.0.0.1"
	seeder := run(t, c)
	if addr := seeder.Addr(); addr.Addr().String() != "127.0.0.1" || addr.Port() == 0 {
		t.Fatalf("Addr = %v", addr)
	}
	web := run(t, config(t, "web-1", seeder.Gossip))
	if m := web.sees(t, "seeder-1", Alive); m.Addr != seeder.Addr() {
		t.Errorf("the seeder is seen at %v, want %v", m.Addr, seeder.Addr())
	}
}

// Noise from the network neither stops a member nor gets in.
func TestNoise(t *testing.T) {
	t.Parallel()
	c := config(t, "seeder-1")
	c.Log = zap.NewNop() // it rightly complains
	seeder := run(t, c)
	udp, err := net.Dial("udp", seeder.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close() //nolint:errcheck // the test ends
	random := rand.NewChaCha8([32]byte{1})
	for i := range 2000 {
		b := make([]byte, i%1400)
		random.Read(b) //nolint:errcheck // it never fails
		if len(b) > 0 {
			b[0] %= 16 // the types of messages that there are, and some more
		}
		if _, err := udp.Write(b); err != nil {
			t.Fatal(err)
		}
		if i%20 != 0 {
			continue
		}
		if conn, err := net.Dial("tcp", seeder.Addr().String()); err == nil {
			conn.Write(b) //nolint:errcheck // it may be refused
			conn.Close()  //nolint:errcheck // as above
		}
	}
	run(t, config(t, "web-1", seeder.Gossip))
	seeder.sees(t, "web-1", Alive)
	if n := len(seeder.Members()); n != 2 {
		t.Errorf("there are %d members, want 2", n)
	}
}

// More streams than the bound are closed at once, and the first ones give way
// again.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	c := config(t, "seeder-1")
	c.Log = zap.NewNop() // it complains of streams that say nothing
	seeder := run(t, c)
	for range maxStreams {
		conn, err := net.Dial("tcp", seeder.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close() //nolint:errcheck // the test ends
	}
	extra, err := net.Dial("tcp", seeder.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer extra.Close() //nolint:errcheck // the test ends
	if err := extra.SetReadDeadline(time.Now().Add(streamTimeout / 2)); err != nil {
		t.Fatal(err)
	}
	if n, err := extra.Read(make([]byte, 1)); n != 0 || err == nil || isTimeout(err) {
		t.Errorf("one stream too many was kept: %v", err)
	}
	run(t, config(t, "web-1", seeder.Gossip))
	seeder.sees(t, "web-1", Alive)
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
