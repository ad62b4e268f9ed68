package gateway

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
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
	for _, d := range []Durability{DurabilityHot, DurabilityStream, DurabilityCold} {
		m.actions.WithLabelValues(string(d)) // at zero: a rule does not see the rise of one that appears
	}
	return m
}

// Measured counts and times the requests that h answers.
func (m *Metrics) Measured(h fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(r *fasthttp.RequestCtx) {
		began := time.Now()
		h(r)
		m.seconds.WithLabelValues(methodLabel(r.Method()), strconv.Itoa(r.Response.StatusCode())).Observe(time.Since(began).Seconds())
	}
}

// methodLabel is a method of the interface; callers make up no labels.
func methodLabel(method []byte) string {
	switch string(method) {
	case fasthttp.MethodGet:
		return "get"
	case fasthttp.MethodHead:
		return "head"
	case fasthttp.MethodPatch:
		return "patch"
	case fasthttp.MethodPost:
		return "post"
	case fasthttp.MethodPut:
		return "put"
	}
	return "other"
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
