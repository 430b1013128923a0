package httpserve

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// CertificateMetric is the gauge of when a daemon's own certificate ends, in
// seconds since 1970; 0 without TLS.
func CertificateMetric(expires func() time.Time) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "crow_certificate_expiry_timestamp_seconds", Help: "When this daemon's certificate ends; 0 without TLS.",
	}, func() float64 {
		if t := expires(); !t.IsZero() {
			return float64(t.Unix())
		}
		return 0
	})
}
