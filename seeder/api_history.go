package seeder

import (
	"cmp"
	"net/http"
	"strconv"

	"crow/internal/control"
	"crow/internal/release"
)

// history answers who did what. It reads files, not the ledger's books.
func (a *api) history(_ http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
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

// record writes down what a caller asked for, and what came of it.
func (a *api) record(r *http.Request, e control.HistoryEntry, err error) {
	e.Who, e.Role = callerOf(r)
	e.Result = control.ResultOK
	if err != nil {
		answer := errorOf(err)
		e.Result, e.Message = string(answer.Code), answer.Message
	}
	e.App, e.Version, e.Message = release.Printable(e.App), release.Printable(e.Version), cut(release.Printable(e.Message), control.MaxReasonLen)
	a.env.record(e)
}
