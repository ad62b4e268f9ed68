package main

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/savepoint-games/savepoint/events"
)

// scrape returns the gauges of the whole system by name, those by scope with the largest
// of their values.
func (r *rig) scrape(conns *connections) map[string]float64 {
	r.t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(newLagCollector(conns, events.Scopes()))
	families, err := reg.Gather()
	r.must(err)
	values := make(map[string]float64)
	for _, family := range families {
		for _, m := range family.Metric {
			values[family.GetName()] = max(values[family.GetName()], m.GetGauge().GetValue())
		}
	}
	return values
}

func TestMetricsTellWhatIsUnsaved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if got := r.scrape(r.conns); got["savepoint_dirty_oldest_seconds"] != 0 || got["savepoint_dirty_characters"] != 0 {
		t.Errorf("of an empty system: %v", got)
	}
	began := time.Now()
	r.play(1)
	r.play(2)

	got := r.scrape(r.conns)

	age, lag := got["savepoint_dirty_oldest_seconds"], got["savepoint_stream_oldest_unsaved_seconds"]
	if longest := time.Since(began).Seconds(); age <= 0 || age > longest || lag <= 0 || lag > longest {
		t.Errorf("the oldest change is %g s old, its event %g s, want more than 0 and at most %g", age, lag, longest)
	}
	if got["savepoint_dirty_characters"] != 2 || got["savepoint_stream_pending_events"] < 2 {
		t.Errorf("got %v", got)
	}
	info, err := r.js.Stream(t.Context(), "SYNC")
	r.must(err)
	state, limit := info.CachedInfo().State, info.CachedInfo().Config.MaxBytes
	if got["savepoint_stream_bytes"] != float64(state.Bytes) || got["savepoint_stream_max_bytes"] != float64(limit) {
		t.Errorf("the stream has %g of %g bytes, want %d of %d",
			got["savepoint_stream_bytes"], got["savepoint_stream_max_bytes"], state.Bytes, limit)
	}
}

// A server that takes connections and never answers is left out, and the other one is not.
func TestMetricsOfOneServerDoNotWaitForTheOther(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	defer func() { _ = silent.Close() }()
	r.cli.RedisURL = "redis://" + silent.Addr().String() + "/0"
	conns, err := open(t.Context(), r.cli, t.Name(), quiet)
	r.must(err)
	defer conns.close(context.Background())
	r.must(conns.await(t.Context()))

	got := r.scrape(conns)

	if _, ok := got["savepoint_dirty_characters"]; ok {
		t.Errorf("a silent Redis has said %v", got)
	}
	if _, ok := got["savepoint_stream_pending_events"]; !ok {
		t.Errorf("NATS was not asked: %v", got)
	}
}
