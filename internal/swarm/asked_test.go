package swarm

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestAskedTooMuch(t *testing.T) {
	for name, c := range map[string]struct {
		fast bool
		want int32 // requests open
	}{"rejects what is taken back": {true, maxAsked}, "is silent about it": {false, maxAsked - 1}} {
		a := asked{fast: c.fast}
		a.answered() // of nothing: no allowance
		for range maxAsked {
			if !a.more(frameRequest) {
				t.Fatalf("%s: too much too early", name)
			}
		}
		if a.more(frameCancel); a.open.Load() != c.want {
			t.Errorf("%s: %d open, want %d", name, a.open.Load(), c.want)
		}
		if got := a.more(frameRequest); got == c.fast {
			t.Errorf("%s: one more is let through: %t", name, got)
		}
	}
}

// Who asks and asks and takes no answer is hung up on.
func TestRequestsWithoutEnd(t *testing.T) {
	s := newSiege(t, siegeSize, siegeRate, false)
	c, err := (&net.Dialer{}).DialContext(s.ctx, "tcp", s.seeder.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.closeInTheEnd(c)
	h, err := greet(c, s.m, peerIDOf(RolePeer, netip.MustParseAddrPort("127.0.0.66:7401")))
	if err != nil {
		t.Fatal(err)
	}
	_ = h.SetDeadline(time.Now().Add(10 * time.Second))
	for begin := range uint32(60_000) {
		var b []byte
		for length := range uint32(100) {
			b = append(b, blockFrame(frameRequest, 0, begin, 1+length)...)
		}
		if err = h.say(frame(2, ""), b); err != nil {
			break
		}
	}
	if timeout, ok := err.(net.Error); err == nil || ok && timeout.Timeout() {
		t.Errorf("six million requests: %v, want it hung up on", err)
	}
}
