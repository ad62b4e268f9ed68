package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/savepoint-games/savepoint/events"
)

// lagCollector asks, at each scrape, how far the savers are behind.
type lagCollector struct {
	conns              *connections
	scopes             []events.Scope
	pending, age, dead *prometheus.Desc
	dirty              *prometheus.Desc
}

func newLagCollector(conns *connections, scopes []events.Scope) *lagCollector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return &lagCollector{
		conns: conns, scopes: scopes,
		pending: desc("savepoint_stream_pending_events", "Events that are not saved, handed out or not.", "scope"),
		age:     desc("savepoint_stream_oldest_unsaved_seconds", "Age of the oldest event that is not saved.", "scope"),
		dead:    desc("savepoint_dead_letters", "Dead letters that are kept.", "scope"),
		dirty:   desc("savepoint_dirty_characters", "Characters with a change that PostgreSQL does not have."),
	}
}

// Describe implements prometheus.Collector.
func (l *lagCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.pending, l.age, l.dead, l.dirty} {
		out <- d
	}
}

const scrapeTimeout = 2 * time.Second

// Collect implements prometheus.Collector. What does not answer is left out.
func (l *lagCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if n, err := l.conns.hot.CountDirty(ctx); err == nil {
		gauge(l.dirty, float64(n))
	}
	for _, scope := range l.scopes {
		if !scope.HasState() {
			continue
		}
		if backlog, err := l.conns.bus.Backlog(ctx, scope); err == nil {
			gauge(l.pending, float64(backlog.Unsaved()), string(scope))
			gauge(l.age, time.Since(backlog.SavedUpTo).Seconds(), string(scope))
		}
		if n, err := l.conns.bus.DeadLetters(ctx, scope); err == nil {
			gauge(l.dead, float64(n), string(scope))
		}
	}
}
