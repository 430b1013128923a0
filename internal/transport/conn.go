package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
)

// conn is one end of a connection whose handshake is done on first use, unless
// it was done before.
type conn struct {
	*tls.Conn
	raw *bounded

	once sync.Once
	err  error // of the handshake
	// refusal is what a Read has found, for the Write beside it, which knows only
	// that the connection broke.
	refusal atomic.Pointer[error]
}

// Read implements net.Conn. That this host's certificate is refused is news
// that arrives with the first read.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.handshake(context.Background()); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if err != nil {
		err = refused(err)
	}
	if errors.Is(err, ErrRefused) {
		c.refusal.Store(&err)
	}
	return n, err
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.handshake(context.Background()); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if cause := c.refusal.Load(); err != nil && cause != nil {
		err = *cause
	}
	return n, err
}

// handshake has every caller wait for the one that does it.
func (c *conn) handshake(ctx context.Context) error {
	c.once.Do(func() {
		if c.err = shake(ctx, c.Conn, c.raw); errors.Is(c.err, ErrUntrustedPeer) {
			farewell(c.raw.Conn)
		}
	})
	return c.err
}

// Server protects an accepted connection of ListenTCP. The first Read or Write
// does the handshake, within seconds, and fails as ErrUntrustedPeer if the other
// end is not of one of the roles; none stands for any of the fleet's. With TLS
// off it is c itself.
func (s Security) Server(c net.Conn, roles ...Role) net.Conn {
	if !s.On() {
		return c
	}
	raw := &bounded{Conn: c}
	return &conn{Conn: tls.Server(raw, s.keys.server(roles)), raw: raw}
}
