package peer

import (
	"encoding/json"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"crow/internal/control"
	"crow/internal/release"
)

// patience is how long tests wait for what must happen.
const patience = 15 * time.Second

// office is a small seeder: it speaks the part of the control API that peers
// use, over real HTTP, and can be killed and started again.
type office struct {
	addr     string
	torrents map[release.Digest][]byte

	mu       sync.Mutex
	server   *http.Server
	served   chan struct{}
	epoch    int
	revision uint64
	orders   []control.Order
	limits   *control.WantedLimits
	hosts    map[string]control.Hello
	hellos   int
	boots    map[string]bool // that said hello
	polls    int
	heard    uint64 // revision that the last poll had
	asked    int    // for torrents
	taken    bool   // answer every hello with name_taken
	refuse   bool   // answer every report with an internal error
	old      bool   // know nothing of what reports have had for a short while
	newest   map[string]control.Report
	history  map[string][]release.Phase // phases that each deploy's reports told of, in turn
	changed  chan struct{}              // closed and replaced with every change
	killed   chan struct{}
}

func newOffice(t testing.TB) *office {
	t.Helper()
	o := &office{
		addr: "127.0.0.1:0", torrents: map[release.Digest][]byte{}, newest: map[string]control.Report{},
		history: map[string][]release.Phase{}, boots: map[string]bool{}, changed: make(chan struct{}),
	}
	o.start(t)
	t.Cleanup(o.kill)
	return o
}

// start opens the office, in a new epoch that knows no host.
func (o *office) start(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", o.addr)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("PUT "+control.PathHost, o.hello)
	mux.HandleFunc("GET "+control.PathOrders, o.poll)
	mux.HandleFunc("POST "+control.PathReports, o.report)
	mux.HandleFunc("GET "+control.PathTorrents, o.torrent)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addr, o.epoch, o.hosts = l.Addr().String(), o.epoch+1, map[string]control.Hello{}
	o.killed, o.served = make(chan struct{}), make(chan struct{})
	o.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Second}
	go func(s *http.Server, served chan struct{}) {
		defer close(served)
		s.Serve(l)
	}(o.server, o.served)
}

// kill breaks every connection. A killed office can be killed again.
func (o *office) kill() {
	o.mu.Lock()
	s := o.server
	o.server = nil
	o.mu.Unlock()
	if s == nil {
		return
	}
	close(o.killed)
	s.Close()
	<-o.served
}

func (o *office) url() string { return "http://" + o.addr }

func (o *office) epochName() string { return strconv.Itoa(o.epoch) }

// give makes orders the wanted state.
func (o *office) give(orders ...control.Order) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.orders = orders
	o.revision++
	o.change()
}

// tell gives orders, and waits until the host has taken them.
func (o *office) tell(t testing.TB, orders ...control.Order) {
	t.Helper()
	o.give(orders...)
	o.until(t, "poll with the new revision", func() bool { return o.heard == o.revision })
}

// limit orders limits; nil is what an older seeder says of them.
func (o *office) limit(wanted *control.WantedLimits) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limits = wanted
	o.revision++
	o.change()
}

func (o *office) set(f func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f()
	o.change()
}

// change wakes who waits. The caller holds the lock.
func (o *office) change() {
	close(o.changed)
	o.changed = make(chan struct{})
}

func (o *office) hello(w http.ResponseWriter, r *http.Request) {
	var h control.Hello
	if err := json.NewDecoder(r.Body).Decode(&h); err != nil {
		fail(w, control.CodeUsage, err.Error())
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.hellos++
	o.boots[h.Boot] = true
	defer o.change()
	if o.taken {
		fail(w, control.CodeTaken, "another live host has that name")
		return
	}
	o.hosts[r.PathValue("name")] = h
	answer(w, control.Welcome{Epoch: o.epochName()})
}

func (o *office) poll(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, _ := strconv.ParseUint(q.Get("after"), 10, 64)
	wait, err := time.ParseDuration(q.Get("wait"))
	if err != nil || wait > control.MaxWait {
		fail(w, control.CodeUsage, "bad wait")
		return
	}
	late := time.After(wait)
	o.mu.Lock()
	o.polls++
	o.heard = after
	o.change()
	o.mu.Unlock()
	for ended := false; ; {
		o.mu.Lock()
		if _, known := o.hosts[q.Get("host")]; !known {
			o.mu.Unlock()
			fail(w, control.CodeUnknown, "unknown host")
			return
		}
		if ended || o.epochName() != q.Get("epoch") || o.revision != after {
			orders := control.Orders{Epoch: o.epochName(), Revision: o.revision, Orders: o.orders, Trackers: []string{o.url() + "/announce"}, Limits: o.limits}
			o.mu.Unlock()
			answer(w, orders)
			return
		}
		changed, killed := o.changed, o.killed
		o.mu.Unlock()
		select {
		case <-changed:
		case <-late:
			ended = true
		case <-killed:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (o *office) report(w http.ResponseWriter, r *http.Request) {
	var rep control.Report
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, control.MaxBodyLen)).Decode(&rep); err != nil {
		fail(w, control.CodeTooLarge, err.Error())
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	h, known := o.hosts[rep.Host]
	switch {
	case !known || h.Boot != rep.Boot:
		fail(w, control.CodeUnknown, "unknown host")
		return
	case o.old && (rep.Staged != nil || rep.Free != nil || slices.ContainsFunc(rep.Jobs, func(j control.JobReport) bool {
		return j.Attempt+int(j.Rate) > 0 || j.Check != nil
	})):
		fail(w, control.CodeUsage, "request: unknown field")
		return
	case o.refuse:
		fail(w, control.CodeInternal, "not now")
		return
	}
	if last := o.newest[rep.Host]; last.Boot != rep.Boot || last.Seq < rep.Seq {
		o.newest[rep.Host] = rep
		for _, j := range rep.Jobs {
			if past := o.history[j.Deploy]; len(past) == 0 || past[len(past)-1] != j.Phase {
				o.history[j.Deploy] = append(past, j.Phase)
			}
		}
	}
	o.change()
	answer(w, control.Receipt{Epoch: o.epochName(), NextMillis: 10})
}

func (o *office) torrent(w http.ResponseWriter, r *http.Request) {
	d, err := release.ParseDigest(r.PathValue("digest"))
	o.mu.Lock()
	o.asked++
	b := o.torrents[d]
	o.mu.Unlock()
	if err != nil || b == nil {
		fail(w, control.CodeNotFound, "no such artifact")
		return
	}
	w.Write(b)
}

func answer(w http.ResponseWriter, v any) { json.NewEncoder(w).Encode(v) }

func fail(w http.ResponseWriter, code control.Code, message string) {
	e := &control.Error{Code: code, Message: message}
	w.WriteHeader(e.Status())
	answer(w, map[string]*control.Error{"error": e})
}
