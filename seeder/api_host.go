package seeder

import (
	"cmp"
	"net/http"
	"time"

	"crow/internal/control"
)

func (a *api) hello(w http.ResponseWriter, r *http.Request) (any, error) {
	var hello control.Hello
	if err := read(w, r, maxHelloLen, &hello); err != nil {
		return nil, err
	}
	if err := cmp.Or(ownName(r, r.PathValue("name")), ownAddress(r, hello.Address)); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.Welcome, error) {
		err := b.hello(r.PathValue("name"), hello, now)
		if err == nil {
			b.fleet.certified(r.PathValue("name"), certificateEnd(r))
		}
		return control.Welcome{Epoch: b.epoch}, err
	})
}

// goodbye ends no host's place in the fleet: one that is back says hello again.
func (a *api) goodbye(_ http.ResponseWriter, r *http.Request) (any, error) {
	name := r.PathValue("name")
	if err := ownName(r, name); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, _ time.Time) (struct{}, error) {
		return struct{}{}, b.fleet.goodbye(name, r.URL.Query().Get("boot"))
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
	if err := ownName(r, q.Get("host")); err != nil {
		return nil, err
	}
	if q.Get("epoch") != a.epoch {
		p.after = 0
	}
	return follow(r.Context(), a.ledger, p.after, min(p.wait, a.hold), func(b *books, now time.Time) (seen[control.Orders], error) {
		h := b.fleet.hosts[q.Get("host")]
		if h == nil {
			return seen[control.Orders]{}, unknownHost(q.Get("host"))
		}
		b.fleet.heard(h, now)
		b.fleet.certified(h.Name, certificateEnd(r))
		limits := h.Wanted // a copy: the host's own is replaced while the answer is written
		o := control.Orders{Epoch: b.epoch, Revision: h.watch.revision, Orders: h.list, Trackers: a.trackers, Limits: &limits}
		if r.TLS != nil {
			o.GossipKeys = b.keyring.words
		}
		return seen[control.Orders]{value: o, revision: o.Revision, changed: h.watch.changed}, nil
	})
}

func (a *api) report(w http.ResponseWriter, r *http.Request) (any, error) {
	var report control.Report
	if err := read(w, r, control.MaxBodyLen, &report); err != nil {
		return nil, err
	}
	if err := cmp.Or(ownName(r, report.Host), validateReport(&report)); err != nil {
		return nil, err
	}
	return ask(r.Context(), a.ledger, func(b *books, now time.Time) (control.Receipt, error) {
		return b.report(report, now)
	})
}
