package savers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/savepoint-games/savepoint/events"
)

// Metrics counts what the workers do. A nil Metrics counts nothing.
type Metrics struct {
	events, batches, errors, dead, mended *prometheus.CounterVec
	seconds, size, age                    *prometheus.HistogramVec
}

// NewMetrics registers the metrics of the workers.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		reg.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, []string{"scope"})
		reg.MustRegister(h)
		return h
	}
	m := &Metrics{
		events:  counter("savepoint_saver_events_total", "Events committed to PostgreSQL.", "scope"),
		batches: counter("savepoint_saver_batches_total", "Transactions committed.", "scope"),
		errors:  counter("savepoint_saver_errors_total", "Transactions that failed, by the kind of error.", "scope", "kind"),
		dead:    counter("savepoint_saver_dead_letters_total", "Events put among the dead letters.", "scope"),
		mended:  counter("savepoint_saver_dead_letters_resolved_total", "Dead letters dropped because a newer save has made up for them.", "scope"),
		seconds: histogram("savepoint_saver_batch_seconds", "Time of one transaction.", prometheus.ExponentialBuckets(0.0005, 2, 14)),
		size:    histogram("savepoint_saver_batch_events", "Events in one transaction.", prometheus.ExponentialBuckets(1, 4, 8)),
		age:     histogram("savepoint_saver_commit_lag_seconds", "Age of a batch's oldest change when it is committed.", prometheus.ExponentialBuckets(0.001, 2, 20)),
	}
	m.begin()
	return m
}

// begin shows each counter at zero: of one that appears with its first count, no rule
// sees that it has risen.
func (m *Metrics) begin() {
	for _, scope := range append(events.Scopes(), events.ScopeCleanup) {
		for kind := range kindNames {
			m.errors.WithLabelValues(string(scope), Kind(kind).String())
		}
		if scope.HasState() {
			for _, counter := range []*prometheus.CounterVec{m.events, m.batches, m.dead, m.mended} {
				counter.WithLabelValues(string(scope))
			}
		}
	}
}

func (m *Metrics) saved(scope events.Scope, batch []events.StateChanged, took time.Duration) {
	if m == nil || !scope.HasState() {
		return
	}
	oldest := batch[0].Version
	for i := range batch {
		oldest = min(oldest, batch[i].Version)
	}
	label := string(scope)
	m.events.WithLabelValues(label).Add(float64(len(batch)))
	m.batches.WithLabelValues(label).Inc()
	m.seconds.WithLabelValues(label).Observe(took.Seconds())
	m.size.WithLabelValues(label).Observe(float64(len(batch)))
	m.age.WithLabelValues(label).Observe(time.Since(oldest.Time()).Seconds())
}

func (m *Metrics) failed(scope events.Scope, kind Kind) {
	if m != nil {
		m.errors.WithLabelValues(string(scope), kind.String()).Inc()
	}
}

func (m *Metrics) buried(scope events.Scope) {
	if m != nil {
		m.dead.WithLabelValues(string(scope)).Inc()
	}
}

func (m *Metrics) resolved(scope events.Scope) {
	if m != nil {
		m.mended.WithLabelValues(string(scope)).Inc()
	}
}
