package main

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
)

// lagCollector asks, at each scrape, how far the savers are behind.
type lagCollector struct {
	conns              *connections
	scopes             []events.Scope
	pending, age, dead *prometheus.Desc
	bytes, maxBytes    *prometheus.Desc
	dirty, oldest      *prometheus.Desc
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
		oldest:  desc("savepoint_dirty_oldest_seconds", "Age of the oldest change that PostgreSQL does not have, of the first 1,000 of these characters."),

		bytes:    desc("savepoint_stream_bytes", "How large the stream of changes is."),
		maxBytes: desc("savepoint_stream_max_bytes", "How large it may become; missing where it has no limit."),
	}
}

// Describe implements prometheus.Collector.
func (l *lagCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.pending, l.age, l.dead, l.bytes, l.maxBytes, l.dirty, l.oldest} {
		out <- d
	}
}

const (
	// scrapeTimeout bounds the questions to one server. Both are asked at once, so that
	// one that does not answer hides nothing of the other.
	scrapeTimeout = 2 * time.Second
	// scrapeDirty is of how many dirty characters a scrape reads the marks.
	scrapeDirty = 1000
)

// Collect implements prometheus.Collector. What does not answer is left out.
func (l *lagCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	var group sync.WaitGroup
	for _, ask := range []func(context.Context, gaugeFunc){l.askRedis, l.askNATS} {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
			defer cancel()
			ask(ctx, gauge)
		})
	}
	group.Wait()
}

type gaugeFunc func(d *prometheus.Desc, value float64, labels ...string)

func (l *lagCollector) askRedis(ctx context.Context, gauge gaugeFunc) {
	unsaved, err := l.conns.hot.CountUnsaved(ctx, scrapeDirty)
	if err != nil {
		return
	}
	gauge(l.dirty, float64(unsaved.Characters))
	age := time.Duration(0)
	if !unsaved.Oldest.IsZero() {
		age = time.Since(unsaved.Oldest)
	}
	gauge(l.oldest, max(age, 0).Seconds())
}

func (l *lagCollector) askNATS(ctx context.Context, gauge gaugeFunc) {
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
	stream, err := l.conns.bus.JetStream().Stream(ctx, bus.StreamChanges)
	if err != nil {
		return
	}
	info := stream.CachedInfo()
	gauge(l.bytes, float64(info.State.Bytes))
	if info.Config.MaxBytes > 0 {
		gauge(l.maxBytes, float64(info.Config.MaxBytes))
	}
}
