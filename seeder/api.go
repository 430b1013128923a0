package seeder

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/store"
	"crow/internal/transport"
)

// maxHelloLen bounds a Hello on the wire, in bytes: labels and apps at their
// limits take about 30 KiB.
const maxHelloLen = 64 << 10

// api answers the control API. It decodes, checks and words; the ledger
// decides.
type api struct {
	ledger   *ledger
	dir      *store.Dir
	uploads  *uploads
	offers   *offers
	metrics  *metrics
	env      *env
	log      *zap.Logger
	trackers []string // announce URLs that hosts are told; set before the first request
	epoch    string
	hold     time.Duration                          // the longest that an orders poll is held
	await    func(ctx context.Context, n int) error // until the upload limit has room for n bytes
}

// routes returns the handler of all paths of the control API and the origin.
func (a *api) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, c := range []struct {
		pattern string
		roles   []transport.Role
		call    call
	}{
		{"POST " + control.PathBlobs, operators, a.upload},
		{"POST " + control.PathReleases, operators, a.createRelease},
		{"GET " + control.PathReleases, operators, a.listReleases},
		{"POST " + control.PathSignatures, operators, a.addSignatures},
		{"POST " + control.PathDeploys, operators, a.createDeploy},
		{"POST " + control.PathPlan, operators, a.planDeploy},
		{"POST " + control.PathKeyed, operators, a.keyedDeploy},
		{"GET " + control.PathDeploy, operators, a.deployStatus},
		{"POST " + control.PathSteer, operators, a.steer},
		{"GET " + control.PathApp, operators, a.appStatus},
		{"DELETE " + control.PathRelease, operators, a.removeRelease},
		{"POST " + control.PathForget, operators, a.forget},
		{"GET " + control.PathHistory, operators, a.history},
		{"GET " + control.PathHosts, operators, a.listHosts},
		{"POST " + control.PathLimits, operators, a.changeLimits},
		{"GET " + control.PathUplink, operators, a.uplink},
		{"POST " + control.PathUplink, operators, a.changeUplink},
		{"POST " + control.PathGossipKey, operators, a.rotateGossipKey},
		{"PUT " + control.PathHost, peers, a.hello},
		{"DELETE " + control.PathHost, peers, a.goodbye},
		{"GET " + control.PathOrders, peers, a.orders},
		{"POST " + control.PathReports, peers, a.report},
	} {
		a.on(mux, c.pattern, c.roles, c.call)
	}
	mux.Handle("GET "+control.PathTorrents, a.only(fetchers, http.HandlerFunc(a.serveTorrent)))
	mux.Handle("GET "+control.PathOrigin, a.only(fetchers, http.HandlerFunc(a.serveOrigin)))
	mux.Handle("GET /metrics", a.only(anyone, a.metrics.handler()))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, notFound("no such call: %s %.80q", r.Method, r.URL.Path))
	})
	return mux
}

// call is one call of the API: what it returns is answered as JSON.
type call func(w http.ResponseWriter, r *http.Request) (any, error)

// only lets the roles alone through to a handler.
func (a *api) only(roles []transport.Role, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := allow(r, roles); err != nil {
			a.fail(w, r, err)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// on routes a pattern to a call of some roles, and counts how its requests end.
func (a *api) on(mux *http.ServeMux, pattern string, roles []transport.Role, f call) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		var answer any
		err := allow(r, roles)
		if err == nil {
			answer, err = f(w, r)
		} else {
			a.refuse(r, roles, err)
		}
		status := http.StatusOK
		if err != nil {
			status = a.fail(w, r, err)
		} else {
			a.answer(w, r, answer)
		}
		a.metrics.requests.WithLabelValues(pattern, strconv.Itoa(status)).Inc()
	})
}

// refuse notes a call that the caller's role does not allow. One that would change
// what operators do is worth a line in the audit log, which bounds those of a caller:
// somebody may be trying what a stolen certificate is good for.
func (a *api) refuse(r *http.Request, roles []transport.Role, err error) {
	a.log.Warn("call refused", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
	if r.Method != http.MethodGet && slices.Contains(roles, transport.RoleOperator) {
		a.record(r, control.HistoryEntry{Action: control.ActionCall}, err)
	}
}

func (a *api) answer(w http.ResponseWriter, r *http.Request, answer any) {
	b, err := json.Marshal(answer)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // a client that hung up asks again
}

// fail answers an error as the control API words it and returns its status.
// The seeder's own faults are logged: the caller can do nothing about them. So is
// what the caller was not told.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) int {
	e := errorOf(err)
	if e.Code == control.CodeInternal && r.Context().Err() == nil {
		a.log.Error("request failed", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
	} else if e.Message != err.Error() {
		a.log.Debug("request failed", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
	}
	control.WriteError(w, e)
	return e.Status()
}

// read decodes a request's body of at most limit bytes. Fields that the type
// lacks, and anything behind the document, are errors: they are misspelt, or
// meant for a newer seeder, and would silently do nothing.
func read(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	if err := control.CheckJSON(r); err != nil {
		return err
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return &control.Error{Code: control.CodeTooLarge, Message: "request: over " + strconv.FormatInt(limit, 10) + " bytes"}
		}
		return usage("", "request: the body was cut off: %v", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return usage("", "request: %v", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return usage("", "request: something follows the document")
	}
	return nil
}

// poll is what a long poll asks for.
type poll struct {
	after uint64
	wait  time.Duration
}

// readPoll reads ?after= and ?wait=; both may be left out.
func readPoll(r *http.Request) (p poll, err error) {
	q := r.URL.Query()
	if s := q.Get("after"); s != "" {
		if p.after, err = strconv.ParseUint(s, 10, 64); err != nil {
			return p, usage("", "after=%.40q: want a revision", s)
		}
	}
	if s := q.Get("wait"); s != "" {
		if p.wait, err = time.ParseDuration(s); err != nil || p.wait < 0 {
			return p, usage("", "wait=%.40q: want a duration such as 30s", s)
		}
	}
	p.wait = min(p.wait, control.MaxWait)
	return p, nil
}
