package peer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/release"
	"crow/internal/store"
	"crow/internal/swarm"
	"crow/peer/admin"
)

// Clear removes what nobody needs from the data_dir of a config: releases beyond
// keep, leftovers, artifacts of no release. The agent does it if one runs. The
// error is store.ErrLocked if one runs and does not answer.
func Clear(ctx context.Context, c Config, dryRun bool, log *zap.Logger) (admin.Cleared, error) {
	l := layout{c.DataDir}
	if !isFolder(l.state()) {
		return admin.Cleared{}, fmt.Errorf("%w data_dir %s: no agent has ever run there", release.ErrInvalid, c.DataDir)
	}
	out, err := admin.NewClient(l.state()).Clear(ctx, dryRun)
	if !errors.Is(err, admin.ErrNoAgent) {
		return out, err
	}
	out, alone := clearAlone(c, dryRun, log)
	if errors.Is(alone, store.ErrLocked) {
		return out, fmt.Errorf("data_dir %s: %w, which does not answer on %s", c.DataDir, alone, admin.Path(l.state()))
	}
	return out, alone
}

// Verify has the agent of a config's data_dir verify what it has, of one app or of
// all if that is empty, and mend what it can. It calls each with every result as
// it comes. The error is admin.ErrNoAgent if none runs.
func Verify(ctx context.Context, c Config, app string, mendLive bool, each func(admin.Checked)) error {
	return admin.NewClient(layout{c.DataDir}.state()).Verify(ctx, app, mendLive, each)
}

// Limits of calls on the socket: whoever may call is the agent's own user.
const (
	localHeaderTime = 5 * time.Second
	localGrace      = 5 * time.Second // for calls to end with the agent
	localWriteTime  = time.Minute     // for a caller, who may be stopped, to read a line
)

// local answers the commands of this host on a socket. It does not keep an agent
// from its work: where there can be no socket there is none.
type local struct {
	listener net.Listener // nil: there is none
	host     *host
	log      *zap.Logger

	verifying sync.Mutex
}

func newLocal(h *host) *local {
	l, err := admin.Listen(h.layout.state())
	if err != nil {
		h.log.Warn("crow peer gc and crow peer verify can't reach this agent", zap.Error(err))
	}
	return &local{listener: l, host: h, log: h.log}
}

func (l *local) close() error {
	if l.listener == nil {
		return nil
	}
	return l.listener.Close()
}

// run answers until ctx ends, which ends the calls, too.
func (l *local) run(ctx context.Context) error {
	if l.listener == nil {
		return nil
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+admin.PathClear, l.clear)
	mux.HandleFunc("POST "+admin.PathVerify, func(w http.ResponseWriter, r *http.Request) { l.verify(ctx, w, r) })
	s := &http.Server{
		Handler: mux, ReadHeaderTimeout: localHeaderTime, ErrorLog: zap.NewStdLog(l.log),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve on %s: %w", admin.Path(l.host.layout.state()), err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), localGrace)
	defer cancel()
	err := s.Shutdown(last)
	if errors.Is(err, context.DeadlineExceeded) {
		err = s.Close() // a caller does not read
	}
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return errors.Join(err, store.RemoveIfThere(admin.Path(l.host.layout.state())))
}

func (l *local) clear(w http.ResponseWriter, r *http.Request) {
	out, err := l.host.clear(r.Context(), r.URL.Query().Get("dry_run") == "true")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if err := json.NewEncoder(w).Encode(out); err != nil {
		l.log.Debug("answer was not read", zap.Error(err))
	}
}

// verify answers line by line. Two at a time would only be in each other's way. What
// a caller who left had fetched again, the agent fetches, as long as it lives.
func (l *local) verify(life context.Context, w http.ResponseWriter, r *http.Request) {
	if !l.verifying.TryLock() {
		http.Error(w, "another verification is under way", http.StatusConflict)
		return
	}
	lines, out := json.NewEncoder(w), http.NewResponseController(w)
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	say := func(line admin.Line) {
		err := errors.Join(out.SetWriteDeadline(time.Now().Add(localWriteTime)), lines.Encode(line), out.Flush())
		if err != nil {
			cancel(fmt.Errorf("tell the caller: %w", err))
		}
	}
	end := admin.Line{End: true}
	err := l.host.verify(ctx, r.URL.Query().Get("app"), r.URL.Query().Get("mend_live") == "true", func(c admin.Checked) {
		say(admin.Line{Checked: c, Done: c.Done, Of: c.Of})
	})
	if ctx.Err() != nil {
		err = errors.Join(err, l.host.ask(life, func(a *agent) { a.restoreAll(life) }))
	}
	l.verifying.Unlock() // before the caller knows that it is over, and may ask again
	if err != nil {
		end.Error = err.Error()
	}
	say(end)
}

// nobody is the swarm of an agent that does not run.
type nobody struct{}

// Fetch implements transfer.
func (nobody) Fetch(context.Context, []byte, string, func(swarm.Progress)) error {
	return admin.ErrNoAgent
}

// Seed implements transfer.
func (nobody) Seed([]byte, string) error { return nil }

// Drop implements transfer.
func (nobody) Drop(release.Digest) {}

// AddNeighbours implements transfer.
func (nobody) AddNeighbours(release.Digest, []netip.AddrPort) {}

func orderOf(all control.Orders, app string) *control.Order {
	for i := range all.Orders {
		if all.Orders[i].Manifest.App == app {
			return &all.Orders[i]
		}
	}
	return nil
}
