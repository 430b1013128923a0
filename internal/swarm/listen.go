package swarm

import (
	"context"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"

	"crow/internal/transport"
)

// maxAcceptPause is the longest wait after a failed accept.
const maxAcceptPause = time.Second

// neighbourRoles are whom a node exchanges pieces with, by their certificates.
var neighbourRoles = []transport.Role{transport.RoleSeeder, transport.RolePeer}

// listener accepts neighbours' connections for the torrent client.
type listener struct {
	net.Listener
	swarm *Swarm
}

// Accept implements net.Listener. The client calls it in a loop, whatever it
// returns, so an error, such as too many open files, is waited out here.
func (l *listener) Accept() (net.Conn, error) {
	for pause := 10 * time.Millisecond; ; pause = min(2*pause, maxAcceptPause) {
		c, err := l.Listener.Accept()
		if err == nil {
			if conn := l.swarm.letIn(c); conn != nil {
				return conn, nil
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		l.swarm.log.Warn("could not accept a neighbour", zap.Error(err))
		select {
		case <-time.After(pause):
		case <-l.swarm.life.Done():
			return nil, net.ErrClosed
		}
	}
}

// letIn makes a connection of one that came in. It is nil if there are too many.
func (s *Swarm) letIn(c net.Conn) *conn {
	from := accepted(c)
	greeted, ok := s.greetings.enter(from.addr.Addr(), s.room.full())
	if !ok {
		c.Close()
		return nil
	}
	conn := newConn(s, c, s.cfg.Security.Server(c, neighbourRoles...), from) // its handshake is the reader's
	conn.greeted = greeted
	return conn
}

// dialer opens connections for the torrent client.
type dialer struct{ swarm *Swarm }

// Why the client fails to dial an address that it was given a while ago.
var (
	errUnwanted = errors.New("dial neighbour: it is no longer wanted")
	errNoRoom   = errors.New("dial neighbour: all places are taken")
)

// Dial implements the client's Dialer.
func (d dialer) Dial(ctx context.Context, alias string) (net.Conn, error) {
	t, to := d.swarm.behind(alias)
	if to == nil {
		return nil, errUnwanted
	}
	done, ok := d.swarm.room.dial(t, time.Now())
	if !ok {
		return nil, errNoRoom
	}
	c, err := d.open(ctx, to)
	if err != nil {
		done()
		return nil, err
	}
	c.greeted = done
	return c, nil
}

func (d dialer) open(ctx context.Context, to *remoteAddr) (*conn, error) {
	security := d.swarm.cfg.Security
	raw, err := security.DialTCP(ctx, to.addr.String())
	if err != nil {
		return nil, err
	}
	c, err := security.Client(ctx, raw, to.addr.String(), neighbourRoles...)
	if err != nil {
		if errors.Is(err, transport.ErrUntrustedPeer) {
			d.swarm.log.Warn("a neighbour is not trusted", zap.Stringer("address", to.addr), zap.Error(err))
		}
		return nil, err
	}
	return newConn(d.swarm, raw, c, to), nil
}

// DialerNetwork implements the client's Dialer.
func (d dialer) DialerNetwork() string { return "tcp" }
