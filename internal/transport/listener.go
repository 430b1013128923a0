package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"
)

// warnEvery is how often hosts of the fleet that are refused are warned of at
// most: such a host tries again and again.
const warnEvery = 10 * time.Second

// listener does the handshakes of what it accepts side by side.
type listener struct {
	net.Listener
	keys   *keys
	config *tls.Config
	warn   rate.Sometimes
	line   line
	ready  chan accepted

	life  context.Context
	end   context.CancelFunc
	start sync.Once
	work  sync.WaitGroup
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

func newListener(l net.Listener, k *keys) *listener {
	life, end := context.WithCancel(context.Background())
	return &listener{
		Listener: l, keys: k, config: k.server(nil), warn: rate.Sometimes{First: 1, Interval: warnEvery},
		line: newLine(maxHandshakes, patience), ready: make(chan accepted), life: life, end: end,
	}
}

// Accept implements net.Listener. Nobody is accepted before its first call, so
// that those who come early wait in the kernel.
func (l *listener) Accept() (net.Conn, error) {
	l.start.Do(func() { l.work.Go(l.run) })
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.life.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.end()
	err := l.Listener.Close()
	l.start.Do(func() {}) // what was not begun never begins
	l.work.Wait()
	return err
}

func (l *listener) run() {
	for l.line.room(l.life) {
		c, err := l.Listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			l.end()
			return
		case err != nil:
			l.deliver(accepted{err: err}) // such as too many open files; the caller knows how long to wait
		default:
			leave := l.line.join(c)
			l.work.Go(func() { defer leave(); l.admit(c) })
		}
	}
}

// admit does one handshake, and delivers who has passed it.
func (l *listener) admit(c net.Conn) {
	raw := &bounded{Conn: c}
	safe := tls.Server(raw, l.config)
	err := shake(l.life, safe, raw)
	if err == nil && l.deliver(accepted{conn: safe}) {
		return
	}
	if err != nil {
		l.tell(err)
	}
	if errors.Is(err, ErrUntrustedPeer) {
		defer context.AfterFunc(l.life, func() { _ = c.Close() })()
		farewell(c)
	}
	_ = c.Close() // nobody has it
}

func (l *listener) deliver(a accepted) bool {
	select {
	case l.ready <- a:
		return true
	case <-l.life.Done():
		return false
	}
}

// tell logs a handshake that failed: aloud if it shows that the fleet needs
// help, with this host's certificate or another's of its CA; else it may be
// anyone who looks for open ports.
func (l *listener) tell(err error) {
	known := errors.Is(err, ErrUntrustedPeer) && !errors.Is(err, errStranger)
	if errors.Is(err, ErrRefused) && l.keys.outdated() != nil {
		known, err = true, l.keys.outdated()
	}
	if known {
		l.warn.Do(func() { l.keys.log.Warn("tls handshake in the fleet failed", zap.Error(err)) })
		return
	}
	l.keys.log.Debug("tls handshake failed", zap.Error(err))
}
