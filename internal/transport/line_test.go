package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// In a full line the oldest makes room, but not before its time.
func TestLineMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(2, patience)
		began := time.Now()
		var ends []net.Conn
		for i := range 4 {
			if !l.room(t.Context()) {
				t.Fatal("no room")
			}
			want := time.Duration(0)
			if i >= l.most {
				want = patience
			}
			if took := time.Since(began); took != want {
				t.Errorf("connection %d waited %s, want %s", i, took, want)
			}
			here, there := net.Pipe()
			defer there.Close()
			ends = append(ends, there)
			l.join(here)
		}
		for i, c := range ends {
			c.SetReadDeadline(time.Now().Add(time.Second))
			_, err := c.Read(make([]byte, 1))
			if closed := errors.Is(err, io.EOF); closed != (i < 2) {
				t.Errorf("connection %d: %v", i, err)
			}
		}
	})
}

func TestLineMovesOnWhenOneLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(1, time.Hour)
		here, there := net.Pipe()
		defer there.Close()
		leave := l.join(here)
		began := time.Now()
		time.AfterFunc(time.Second, leave)
		if !l.room(t.Context()) || time.Since(began) != time.Second {
			t.Errorf("waited %s", time.Since(began))
		}
		l.join(here)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if l.room(ctx) {
			t.Error("there was room")
		}
	})
}
