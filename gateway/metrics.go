package gateway

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Measured counts and times the requests that h answers.
func Measured(reg prometheus.Registerer, h http.Handler) http.Handler {
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "savepoint_gateway_request_seconds", Help: "Time to answer a request.",
		Buckets: prometheus.ExponentialBuckets(0.0002, 2, 16),
	}, []string{"method", "code"})
	reg.MustRegister(seconds)
	return promhttp.InstrumentHandlerDuration(seconds, h)
}
