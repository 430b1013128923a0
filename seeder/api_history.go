package seeder

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"

	"crow/internal/control"
	"crow/internal/release"
	"crow/seeder/audit"
)

// history answers who did what, or with verify=true whether the log of it is
// whole. It reads files, not the ledger's books.
func (a *api) history(_ http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	verify, err := strconv.ParseBool(cmp.Or(q.Get("verify"), "false"))
	if err != nil {
		return nil, usage("", "verify=%.40q: want true or false", q.Get("verify"))
	}
	if verify && (q.Has("app") || q.Has("limit")) {
		return nil, usage("", "verify=true goes without app and limit: it is of the whole log")
	}
	if verify {
		return a.verifyHistory()
	}
	if app := q.Get("app"); app != "" {
		if err := release.ValidateApp(app); err != nil {
			return nil, err
		}
	}
	limit, err := strconv.Atoi(cmp.Or(q.Get("limit"), strconv.Itoa(control.DefaultHistory)))
	if err != nil || limit < 1 || limit > control.MaxHistory {
		return nil, usage("", "limit=%.40q: want 1 to %d", q.Get("limit"), control.MaxHistory)
	}
	return a.env.audit.Read(q.Get("app"), limit)
}

// verifyHistory answers a break, too: the call did what it was asked for.
func (a *api) verifyHistory() (any, error) {
	whole, err := a.env.audit.Verify()
	check := control.HistoryCheck{Entries: whole}
	if broken, ok := errors.AsType[*audit.Break](err); ok {
		check.Break = &control.HistoryBreak{File: broken.File, Line: broken.Line, Why: broken.Why}
		return check, nil
	}
	return check, err
}

// record writes down what a caller asked for, and what came of it.
func (a *api) record(r *http.Request, e control.HistoryEntry, err error) {
	e.Who, e.Role = callerOf(r)
	e.Result = control.ResultOK
	if err != nil {
		answer := errorOf(err)
		e.Result, e.Message = string(answer.Code), answer.Message
		if errors.Is(err, context.Canceled) { // either ends the request; the log is not to blame the wrong one
			e.Message = "not done: the caller hung up, or the seeder was stopping"
		}
	}
	e.App, e.Version, e.Message = release.Printable(e.App), release.Printable(e.Version), cut(release.Printable(e.Message), control.MaxReasonLen)
	if err != nil {
		a.env.recordFailed(e)
		return
	}
	a.env.record(e)
}
