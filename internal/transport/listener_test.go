package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// stuck opens connections that begin with these bytes and then say nothing.
func stuck(t *testing.T, addr string, n int, begin []byte) []net.Conn {
	t.Helper()
	var all []net.Conn
	for range n {
		c := must[net.Conn](t)(net.Dial("tcp", addr))
		t.Cleanup(func() { c.Close() })
		_, _ = c.Write(begin) // it may be closed by now
		all = append(all, c)
	}
	return all
}

func TestStuckHandshakesStopNobody(t *testing.T) {
	a := newAuthority(t)
	s, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	for name, test := range map[string]struct {
		stuck  int
		within time.Duration
	}{
		"less than a line": {200, handshakeTimeout / 2}, // before any of them has timed out
		"more than a line": {maxHandshakes + 100, deadline},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := greet(t, s)
			stuck(t, addr, test.stuck, []byte{22, 3, 1})
			began := time.Now()
			for end := began.Add(test.within); ; {
				err := hear(s.Dial(t.Context(), addr))
				if err == nil {
					break
				}
				if time.Now().After(end) {
					t.Fatalf("after %s: %v", time.Since(began), err)
				}
			}
			if took := time.Since(began); took > test.within {
				t.Errorf("took %s", took)
			}
		})
	}
}

// clientHello begins a handshake whose first message would be this long.
func clientHello(n int) []byte {
	b := []byte{22, 3, 1, 0x40, 0, 1, 0, byte(n >> 8), byte(n)} // the first record's and the message's header
	b = append(b, make([]byte, 0x4000-4)...)
	for len(b) < n {
		b = append(b, 22, 3, 3, 0x40, 0)
		b = append(b, make([]byte, 0x4000)...)
	}
	return b
}

func TestHandshakesHoldLittleMemory(t *testing.T) {
	a := newAuthority(t)
	s, _, logs := a.watched(RoleSeeder, "seeder-1")
	addr, _ := greet(t, s)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapInuse + m.StackInuse
	}
	before := heap()
	stuck(t, addr, 200, clientHello(60 << 10)[:maxHandshakeLen])
	c := stuck(t, addr, 1, clientHello(60<<10))[0]
	awaitLog(t, logs, errTalkative.Error())
	c.SetReadDeadline(time.Now().Add(deadline))
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("too long a hello is waited for: %v", err)
	}
	if grown := heap() - before; grown > 200*4*maxHandshakeLen && grown < 1<<62 {
		t.Errorf("200 handshakes hold %d bytes", grown)
	}
}

// What a connection carries once its handshake is done has no limit.
func TestLimitEndsWithHandshake(t *testing.T) {
	a := newAuthority(t)
	s, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	l := must[net.Listener](t)(s.Listen("127.0.0.1:0"))
	defer l.Close()
	const n = 4 * maxHandshakeLen
	sent := make(chan error, 1)
	go func() {
		c, err := s.Dial(t.Context(), l.Addr().String())
		if err == nil {
			_, err = c.Write(make([]byte, n))
			_, _ = c.Read(make([]byte, 1)) // until it is closed
		}
		sent <- err
	}()
	c := must[net.Conn](t)(l.Accept())
	if got, err := io.ReadFull(c, make([]byte, n)); got != n {
		t.Errorf("%d bytes, %v", got, err)
	}
	c.Close()
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

func TestListenerCloses(t *testing.T) {
	a := newAuthority(t)
	s, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	l := must[net.Listener](t)(s.Listen("127.0.0.1:0"))
	if err := l.Close(); err != nil {
		t.Errorf("never accepted: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	l = must[net.Listener](t)(s.Listen(l.Addr().String()))
	accepted := make(chan error)
	go func() {
		_, err := l.Accept()
		accepted <- err
	}()
	c := stuck(t, l.Addr().String(), 10, nil)[9]
	began := time.Now()
	if err := l.Close(); err != nil || time.Since(began) > handshakeTimeout/2 {
		t.Errorf("close: %v after %s", err, time.Since(began))
	}
	if err := <-accepted; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	c.SetReadDeadline(time.Now().Add(deadline))
	if _, err := c.Read(make([]byte, 1)); err == nil || strings.Contains(err.Error(), "timeout") {
		t.Errorf("a connection is left open: %v", err)
	}
}

// failing is a listener out of open files.
type failing struct {
	net.Listener
	left atomic.Int32
}

func (f *failing) Accept() (net.Conn, error) {
	if f.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return f.Listener.Accept()
}

// Errors of accept reach the caller one by one, and it goes on.
func TestAcceptErrorsAreToldOn(t *testing.T) {
	a := newAuthority(t)
	s, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	bare := &failing{Listener: must[net.Listener](t)(s.ListenTCP("127.0.0.1:0"))}
	bare.left.Store(3)
	l := newListener(bare, s.keys)
	defer l.Close()
	for range 3 {
		if _, err := l.Accept(); !errors.Is(err, syscall.EMFILE) {
			t.Fatal(err)
		}
	}
	heard := make(chan error, 1)
	go func() { heard <- hear(s.Dial(t.Context(), l.Addr().String())) }()
	c := must[net.Conn](t)(l.Accept())
	io.WriteString(c, "caw")
	c.Close()
	if err := <-heard; err != nil {
		t.Error(err)
	}
}

// A handshake in which nothing comes ends by itself.
func TestHandshakeTimesOut(t *testing.T) {
	a := newAuthority(t)
	s, _ := a.open(a.issue(RoleSeeder, "seeder-1", nil), nil)
	now := time.Now() // the bubble has a time of its own
	s.keys.clock = func() time.Time { return now }
	synctest.Test(t, func(t *testing.T) {
		for name, end := range map[string]func(net.Conn) error{
			"server": func(c net.Conn) error {
				_, err := s.Server(c).Read(make([]byte, 1))
				return err
			},
			"client": func(c net.Conn) error {
				_, err := s.Client(t.Context(), c, "127.0.0.1:1")
				return err
			},
		} {
			here, there := net.Pipe()
			go io.Copy(io.Discard, there)
			began := time.Now()
			err := end(here)
			if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != handshakeTimeout {
				t.Errorf("%s: %v after %s", name, err, took)
			}
			there.Close()
			here.Close()
		}
	})
}
