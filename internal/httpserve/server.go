// Package httpserve runs one HTTP server: it listens through the transport,
// bounds what clients can hold on to, answers /healthz and stops gracefully.
//
// It owns the life of connections. What is served belongs to the handler it
// is given, how a connection is protected to package transport: with TLS on,
// what comes here has passed its handshake, and requests carry their sender's
// certificate (transport.IdentityOf).
package httpserve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"crow/internal/transport"
)

// PathHealth is answered by every server itself, with 200 for as long as it
// takes requests.
const PathHealth = "/healthz"

// Limits of what one client can hold on to. Uploads, downloads and long polls
// may take hours, so no limit is on a request as a whole: each is on standing
// still.
const (
	headerTimeout = 10 * time.Second  // a request's line and headers
	idleTimeout   = 120 * time.Second // between requests; longer than the clients keep idle connections
	stallTimeout  = 60 * time.Second  // a body or an answer of which nothing moves
	maxHeaderLen  = 32 << 10          // bytes; room for a scrape's query
	maxConns      = 30_000            // 10,000 hosts with a long poll, a report and an announce each
)

// grace is how long open requests may go on after the server was told to stop.
const grace = 3 * time.Second

// Config is what a server is made of.
type Config struct {
	Listen   string       // host:port; port 0 takes a free one
	Handler  http.Handler // all paths but PathHealth
	Security transport.Security
	Log      *zap.Logger // nil: no log
}

// Server is bound to its address from New on and answers while Run runs.
type Server struct {
	listener net.Listener
	http     *http.Server
	handler  http.Handler
	security transport.Security
	log      *zap.Logger
	conns    conns
	stall    time.Duration
	// serving is read-locked by each request, so that whoever locks it knows
	// that all requests have ended and no other begins.
	serving sync.RWMutex
}

// New binds the address; clients can connect from then on and are answered by
// Run. The error names the address.
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	l, err := cfg.Security.Listen(cfg.Listen)
	if err != nil {
		return nil, err
	}
	s := &Server{
		listener: l, handler: cfg.Handler, security: cfg.Security, log: cfg.Log,
		conns: newConns(maxConns), stall: stallTimeout,
	}
	if s.handler == nil {
		s.handler = http.NotFoundHandler()
	}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serve),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderLen,
		ConnState:         s.conns.changed,
		ErrorLog:          errorLog(cfg.Log),
	}
	return s, nil
}

// Addr is the address that was bound.
func (s *Server) Addr() netip.AddrPort {
	tcp, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	a := tcp.AddrPort()
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// Close unbinds a server that will not be run. Run closes by itself.
func (s *Server) Close() error { return s.listener.Close() }

// Run serves until ctx ends or listening fails. At the end the contexts of all
// requests are cancelled, so that long polls return at once, and open requests
// get a few seconds before their connections are closed. No request is served
// any more once Run has returned without an error.
func (s *Server) Run(ctx context.Context) error {
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	s.http.BaseContext = func(net.Listener) context.Context { return requests }
	failed := make(chan error, 1)
	go func() { failed <- s.http.Serve(s.listener) }()
	select {
	case err := <-failed:
		cancel()
		return errors.Join(fmt.Errorf("serve on %s: %w", s.Addr(), err), s.stop())
	case <-ctx.Done():
	}
	cancel()
	err := s.stop()
	if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve on %s: %w", s.Addr(), ended))
	}
	return err
}

// stop ends all requests: by themselves if they do so in time, else by closing
// their connections.
func (s *Server) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	s.conns.closeFresh()
	if err := s.http.Shutdown(ctx); err == nil {
		return nil
	}
	// Shutdown gave up waiting. Closing an already closed listener is the one
	// error that Close can have, and it is of no use to anyone.
	_ = s.http.Close()
	return s.waitRequests()
}

// waitRequests waits for handlers whose connections are gone.
func (s *Server) waitRequests() error {
	ended := make(chan struct{})
	go func() {
		s.serving.Lock()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(grace):
		return fmt.Errorf("stop serving on %s: a request goes on %s after its connection was closed", s.Addr(), grace)
	}
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	// Fails only once waitRequests has begun; the connection is closed then.
	if !s.serving.TryRLock() {
		return
	}
	defer s.serving.RUnlock()
	// A connection may be hours old; its certificate is looked at each time.
	if err := s.security.Recheck(r); err != nil {
		s.log.Debug("connection closed", zap.String("addr", r.RemoteAddr), zap.Error(err))
		panic(http.ErrAbortHandler) // net/http's way to close without an answer
	}
	if r.URL.Path == PathHealth {
		health(w, r)
		return
	}
	w, r = watchStalls(w, r, s.stall)
	s.handler.ServeHTTP(w, r)
}

func health(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write([]byte("ok\n")) // who asked and left does not matter
}
