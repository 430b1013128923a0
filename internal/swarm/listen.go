package swarm

import (
	"context"
	"errors"
	"net"
	"time"

	"go.uber.org/zap"
)

// maxAcceptPause is the longest wait after a failed accept.
const maxAcceptPause = time.Second

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
			return newConn(l.swarm, c), nil
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

// dialer opens connections for the torrent client.
type dialer struct{ swarm *Swarm }

// Dial implements the client's Dialer.
func (d dialer) Dial(ctx context.Context, addr string) (net.Conn, error) {
	c, err := d.swarm.cfg.Security.Dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	return newConn(d.swarm, c), nil
}

// DialerNetwork implements the client's Dialer.
func (d dialer) DialerNetwork() string { return "tcp" }
