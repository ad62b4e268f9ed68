package gateway

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts and times what a gateway answers. A nil Metrics counts nothing.
type Metrics struct {
	seconds *prometheus.HistogramVec
	actions *prometheus.CounterVec
	joins   prometheus.Counter
}

// NewMetrics registers the metrics of a gateway.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "savepoint_gateway_request_seconds", Help: "Time to answer a request.",
			Buckets: prometheus.ExponentialBuckets(0.0002, 2, 16),
		}, []string{"method", "code"}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "savepoint_gateway_actions_total", Help: "Actions that were committed, by the durability that was reached before the answer.",
		}, []string{"durability"}),
		joins: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "savepoint_gateway_joins_total", Help: "Characters whose hot copy was joined from PostgreSQL, the stream and the mirror.",
		}),
	}
	reg.MustRegister(m.seconds, m.actions, m.joins)
	return m
}

// Measured counts and times the requests that h answers.
func (m *Metrics) Measured(h http.Handler) http.Handler {
	return promhttp.InstrumentHandlerDuration(m.seconds, h)
}

func (m *Metrics) acted(d Durability) {
	if m != nil {
		m.actions.WithLabelValues(string(d)).Inc()
	}
}

func (m *Metrics) joined() {
	if m != nil {
		m.joins.Inc()
	}
}
