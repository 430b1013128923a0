package seeder

import (
	"net/http"
	"time"

	"crow/internal/control"
)

func (a *api) hello(w http.ResponseWriter, r *http.Request) (any, error) {
	var hello control.Hello
	if err := read(w, r, maxHelloLen, &hello); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.Welcome, error) {
		return control.Welcome{Epoch: b.epoch}, b.hello(r.PathValue("name"), hello, now)
	})
}

// orders holds a host's poll until its orders are others than those it has. A
// host of another epoch has none that count.
func (a *api) orders(_ http.ResponseWriter, r *http.Request) (any, error) {
	p, err := readPoll(r)
	if err != nil {
		return nil, err
	}
	q := r.URL.Query()
	if q.Get("epoch") != a.epoch {
		p.after = 0
	}
	return follow(r.Context(), a.ledger, p.after, min(p.wait, a.hold), func(b *books, now time.Time) (seen[control.Orders], error) {
		h := b.fleet.hosts[q.Get("host")]
		if h == nil {
			return seen[control.Orders]{}, unknownHost(q.Get("host"))
		}
		b.fleet.heard(h, now)
		limits := h.Wanted // a copy: the host's own is replaced while the answer is written
		o := control.Orders{Epoch: b.epoch, Revision: h.watch.revision, Orders: h.list, Trackers: a.trackers, Limits: &limits}
		return seen[control.Orders]{value: o, revision: o.Revision, changed: h.watch.changed}, nil
	})
}

func (a *api) report(w http.ResponseWriter, r *http.Request) (any, error) {
	var report control.Report
	if err := read(w, r, control.MaxBodyLen, &report); err != nil {
		return nil, err
	}
	if err := validateReport(&report); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.Receipt, error) {
		return b.report(report, now)
	})
}
