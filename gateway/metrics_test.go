package gateway_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// Only where the stream falls short of what a caller waited for is anything wrong: hot is
// also what has no event, and what callers ask for.
func TestMetricsCountWhatTheStreamDidNotStore(t *testing.T) {
	t.Parallel()
	s := newSystem(t)
	reg := prometheus.NewRegistry()
	service := s.service()
	service.Metrics = gateway.NewMetrics(reg)
	counts := func(what string, want map[string]float64) {
		t.Helper()
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[string]float64)
		for _, family := range families {
			for _, m := range family.Metric {
				name := family.GetName()
				for _, l := range m.Label {
					name += " " + l.GetValue()
				}
				got[name] = m.GetCounter().GetValue()
			}
		}
		for name, n := range want {
			if v, ok := got["savepoint_gateway_"+name]; !ok || v != n {
				t.Errorf("%s: %s is %g, want %g", what, name, v, n)
			}
		}
	}
	give := func(opts gateway.Options) {
		t.Helper()
		if _, err := service.ChangeItems(t.Context(), 1, []game.ItemDelta{{ItemID: "gem", Delta: 2}}, opts); err != nil {
			t.Fatal(err)
		}
	}
	trade := func(opts gateway.Options) {
		t.Helper()
		if _, err := service.Transfer(t.Context(), game.Trade{
			ID: uuid.New(), From: 1, To: 2, Items: []game.ItemDelta{{ItemID: "gem", Delta: 1}},
		}, opts); err != nil {
			t.Fatal(err)
		}
	}
	counts("nothing", map[string]float64{"not_stored_total": 0, "actions_total hot": 0, "actions_total stream": 0, "actions_total cold": 0})

	give(gateway.Options{})
	trade(gateway.Options{})
	fight, err := service.Enter(t.Context(), 1, game.Entry{Context: game.ContextCombat}, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.AdvanceCombat(t.Context(), 1, game.Round{SessionID: fight.SessionID, Round: 1}, gateway.Options{}); err != nil {
		t.Fatal(err)
	}
	give(gateway.Options{Durability: gateway.DurabilityHot})
	trade(gateway.Options{Durability: gateway.DurabilityHot})
	counts("all is well", map[string]float64{"not_stored_total": 0})

	s.stream.cut.Store(true)
	give(gateway.Options{Durability: gateway.DurabilityHot})
	counts("nobody waits", map[string]float64{"not_stored_total": 0})
	give(gateway.Options{})
	counts("the stream is cut off", map[string]float64{"not_stored_total": 1})
	trade(gateway.Options{Durability: gateway.DurabilityStream})
	counts("of a trade, too", map[string]float64{"not_stored_total": 2})
}
