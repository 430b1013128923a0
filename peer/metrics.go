package peer

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"crow/internal/control"
	"crow/internal/httpserve"
)

// pathMetrics is where Prometheus reads.
const pathMetrics = "/metrics"

// metrics are what one peer counts. Labels are of fixed sets, never names from
// outside.
type metrics struct {
	registry  *prometheus.Registry
	connected prometheus.Gauge
	deploys   *prometheus.CounterVec
	bytes     *prometheus.CounterVec
}

func newMetrics(version string, expires func() time.Time) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		connected: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "crow_peer_seeder_connected", Help: "1 while a seeder answers this host's calls for orders.",
		}),
		deploys: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crow_peer_jobs_total", Help: "Jobs that ended on this host, by the phase that they ended in.",
		}, []string{"phase"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "crow_peer_artifact_bytes_total", Help: "Bytes of artifacts that ended jobs took, by source; wasted ones are counted under their source too.",
		}, []string{"source"}),
	}
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "crow_build_info", Help: "1, with crow's version as a label.", ConstLabels: prometheus.Labels{"version": version},
	})
	info.Set(1)
	m.registry.MustRegister(httpserve.CertificateMetric(expires), m.connected, m.deploys, m.bytes, info,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// ended counts a job that is over. One that was stopped counts in the phase
// that it had come to.
func (m *metrics) ended(r control.JobReport) {
	m.deploys.WithLabelValues(r.Phase.String()).Inc()
	for source, n := range map[string]int64{
		"local": r.Bytes.Local, "peer": r.Bytes.Peer, "seeder": r.Bytes.Seeder, "origin": r.Bytes.Origin, "wasted": r.Bytes.Wasted,
	} {
		m.bytes.WithLabelValues(source).Add(float64(max(0, n)))
	}
}

// serve binds the metrics listener.
func (m *metrics) serve(c Config, opts Options) (*httpserve.Server, error) {
	mux := http.NewServeMux()
	mux.Handle("GET "+pathMetrics, promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 2}))
	return httpserve.New(httpserve.Config{Listen: c.MetricsListen, Handler: mux, Security: opts.safe, Log: opts.Log})
}
