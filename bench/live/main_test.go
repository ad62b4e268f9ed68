package live_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/savepoint-games/savepoint/bench/live"
	"github.com/savepoint-games/savepoint/bench/rig"
	"github.com/savepoint-games/savepoint/bench/workload"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

// What a load publishes is found again, each event once, committed after it was
// published and before it was looked for; an event that is missing is an error.
func TestCommitsAreThoseOfTheLoad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	r := start(t, ctx)
	saver, err := r.StartSaver(ctx, rig.Options{})
	must(t, err)
	const first = 100
	must(t, live.Populate(ctx, r.DB, first, 2000))
	sent, err := live.Publish(ctx, live.Load{
		NATS: r.NATSURL(), Events: live.Strangers(workload.KindMix, first, 7), Rate: 1000, For: 500 * time.Millisecond, Seed: 7,
	})
	must(t, err)
	var commits []live.Commit
	stacktest.Eventually(t, "all is saved", func() bool {
		commits, err = live.Commits(ctx, r.DB, first, sent)
		return err == nil
	})
	for _, c := range commits {
		if c.Latency() <= 0 || c.Published.Before(sent.From.Truncate(time.Microsecond)) || c.Committed.After(time.Now()) {
			t.Fatalf("published %v, committed %v; the load began %v", c.Published, c.Committed, sent.From)
		}
	}
	for name, least := range map[string]float64{"savepoint_saver_events_total": float64(sent.Events), "savepoint_saver_batches_total": 1} {
		if got, err := live.Metric(ctx, saver.AdminAddr, name); err != nil || got < least {
			t.Errorf("metric %s is %g (%v), want at least %g", name, got, err, least)
		}
	}

	_, err = r.DB.Exec(ctx, "UPDATE character_vitals SET version = 1 WHERE char_id = (SELECT max(char_id) FROM character_vitals WHERE version > 1)")
	must(t, err)
	if _, err := live.Commits(ctx, r.DB, first, sent); err == nil || !strings.Contains(err.Error(), "saved") {
		t.Errorf("an event that is not saved: %v", err)
	}
	probing, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	took, err := live.Probe{
		NATS: r.NATSURL(), Postgres: r.PostgresURL(), Every: 20 * time.Millisecond, Events: live.Strangers(workload.KindVitals, first+5000, 7),
	}.Run(probing)
	must(t, err)
	if len(took) == 0 || took[0] <= 0 {
		t.Errorf("probes took %v", took)
	}
}

// A load that runs out of events says so, and does not pretend.
func TestLoadThatRunsOutIsAnError(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r := start(t, ctx)
	few := workload.Generate(workload.Config{Kind: workload.KindVitals, Events: 3})
	if _, err := live.Publish(ctx, live.Load{NATS: r.NATSURL(), Events: few, Rate: 1e6, For: time.Second}); err == nil {
		t.Error("three events were a second of a million a second")
	}
}

func TestMetricAddsUpItsSeries(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, err := w.Write([]byte("# HELP a_total what\na_total{scope=\"x y\"} 3\na_total{scope=\"z\"} 4.5\na_total_more 100\nb 1e3\n"))
		if err != nil && !errors.Is(err, http.ErrAbortHandler) {
			t.Error(err)
		}
	}))
	defer server.Close()
	for name, want := range map[string]float64{"a_total": 7.5, "b": 1000, "c": 0} {
		got, err := live.Metric(t.Context(), strings.TrimPrefix(server.URL, "http://"), name)
		if err != nil || got != want {
			t.Errorf("%s is %g (%v), want %g", name, got, err, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func start(t *testing.T, ctx context.Context) *rig.Rig {
	t.Helper()
	bin := stacktest.Programs(t, "savepoint", "saver")
	r, err := rig.Start(ctx, rig.All(bin))
	must(t, err)
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		must(t, r.Close())
	})
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
