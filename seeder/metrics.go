package seeder

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"crow/internal/control"
	"crow/internal/httpserve"
	"crow/internal/release"
)

// scrapeTimeout bounds a scrape, which has to wait for its turn at the ledger.
const scrapeTimeout = 5 * time.Second

// metrics are what /metrics shows. No label ever has an app, host or deploy for
// its value, so that there are as many series in a large fleet as in a small one.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	ledger   *ledger
	hosts    *prometheus.Desc
	deploys  *prometheus.Desc
	sent     *prometheus.Desc
}

func newMetrics(l *ledger, expires func() time.Time) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(), ledger: l,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crow_api_requests_total", Help: "Requests to the control API, by route and HTTP status.",
		}, []string{"route", "status"}),
		hosts:   prometheus.NewDesc("crow_hosts", "Hosts of the fleet, by state.", []string{"state"}, nil),
		deploys: prometheus.NewDesc("crow_deploys", "Deploys that the seeder remembers, by phase.", []string{"phase"}, nil),
		sent: prometheus.NewDesc("crow_deploys_sent_bytes",
			"Bytes that the seeder sent over the swarm for the deploys it remembers.", nil, nil),
	}
	m.registry.MustRegister(m, m.requests, httpserve.CertificateMetric(expires), collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	out <- m.hosts
	out <- m.deploys
	out <- m.sent
}

// tally is what the books hold, in numbers.
type tally struct {
	hosts   map[control.HostState]int
	deploys map[release.DeployPhase]int
	sent    int64
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	t, err := ask(ctx, m.ledger, func(b *books, _ time.Time) (tally, error) { return b.tally(), nil })
	if err != nil {
		out <- prometheus.NewInvalidMetric(m.hosts, err)
		return
	}
	for _, s := range []control.HostState{control.HostAlive, control.HostFailed, control.HostLeft} {
		out <- prometheus.MustNewConstMetric(m.hosts, prometheus.GaugeValue, float64(t.hosts[s]), string(s))
	}
	for p := release.DeployRunning; p <= release.DeployPaused; p++ {
		out <- prometheus.MustNewConstMetric(m.deploys, prometheus.GaugeValue, float64(t.deploys[p]), p.String())
	}
	out <- prometheus.MustNewConstMetric(m.sent, prometheus.GaugeValue, float64(t.sent))
}

func (b *books) tally() tally {
	t := tally{hosts: map[control.HostState]int{}, deploys: map[release.DeployPhase]int{}}
	for _, h := range b.fleet.hosts {
		t.hosts[h.State]++
	}
	for _, d := range b.deploys.byID {
		t.deploys[d.Phase]++
		t.sent += d.Sent
	}
	return t
}
