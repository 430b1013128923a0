package seeder

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"crow/internal/control"
	"crow/internal/store"
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
	log      *zap.Logger
	trackers []string // announce URLs that hosts are told; set before the first request
	epoch    string
	hold     time.Duration // the longest that an orders poll is held
}

// routes returns the handler of all paths of the control API and the origin.
func (a *api) routes() *http.ServeMux {
	mux := http.NewServeMux()
	a.on(mux, "POST "+control.PathBlobs, a.upload)
	a.on(mux, "POST "+control.PathReleases, a.createRelease)
	a.on(mux, "GET "+control.PathReleases, a.listReleases)
	a.on(mux, "POST "+control.PathDeploys, a.createDeploy)
	a.on(mux, "GET "+control.PathDeploy, a.deployStatus)
	a.on(mux, "GET "+control.PathHosts, a.listHosts)
	a.on(mux, "POST "+control.PathLimits, a.changeLimits)
	a.on(mux, "GET "+control.PathUplink, a.uplink)
	a.on(mux, "POST "+control.PathUplink, a.changeUplink)
	a.on(mux, "PUT "+control.PathHost, a.hello)
	a.on(mux, "GET "+control.PathOrders, a.orders)
	a.on(mux, "POST "+control.PathReports, a.report)
	mux.HandleFunc("GET "+control.PathTorrents, a.serveTorrent)
	mux.HandleFunc("GET "+control.PathOrigin, a.serveOrigin)
	mux.Handle("GET /metrics", a.metrics.handler())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, notFound("no such call: %s %.80q", r.Method, r.URL.Path))
	})
	return mux
}

// call is one call of the API: what it returns is answered as JSON.
type call func(w http.ResponseWriter, r *http.Request) (any, error)

// on routes a pattern to a call and counts how its requests end.
func (a *api) on(mux *http.ServeMux, pattern string, f call) {
	mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		answer, err := f(w, r)
		status := http.StatusOK
		if err != nil {
			status = a.fail(w, r, err)
		} else {
			a.answer(w, r, answer)
		}
		a.metrics.requests.WithLabelValues(pattern, strconv.Itoa(status)).Inc()
	})
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
// The seeder's own faults are logged: the caller can do nothing about them.
func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) int {
	e := errorOf(err)
	if e.Code == control.CodeInternal && r.Context().Err() == nil {
		a.log.Error("request failed", zap.String("method", r.Method), zap.String("path", r.URL.Path), zap.Error(err))
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
