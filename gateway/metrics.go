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
	short   prometheus.Counter
	joins   prometheus.Counter
	refused prometheus.Counter // joins
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
		short: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "savepoint_gateway_not_stored_total", Help: "Actions whose caller waited for the stream, which did not store their events in time.",
		}),
		joins: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "savepoint_gateway_joins_total", Help: "Characters whose hot copy was joined from PostgreSQL, the stream and the mirror.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "savepoint_gateway_joins_refused_total", Help: "Joins that were not begun, because too many were under way.",
		}),
	}
	reg.MustRegister(m.seconds, m.actions, m.short, m.joins, m.refused)
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

// acted counts an action. Hot may be all that was wanted of it, and all that there is:
// some have nothing to publish.
func (m *Metrics) acted(wanted, reached Durability) {
	if m == nil {
		return
	}
	m.actions.WithLabelValues(string(reached)).Inc()
	if reached == DurabilityHot && wanted != DurabilityHot {
		m.short.Inc()
	}
}

func (m *Metrics) joined() {
	if m != nil {
		m.joins.Inc()
	}
}

func (m *Metrics) joinRefused() {
	if m != nil {
		m.refused.Inc()
	}
}
