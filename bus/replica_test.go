package bus_test

import (
	"slices"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
)

// A replica that is behind lacks the end of the stream, and one whose server hangs says
// nothing. What was acknowledged is read all the same.
func TestReplicaThatIsBehindHidesNothing(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*nats.Msg){
		"it has nothing yet": func(msg *nats.Msg) {
			_ = msg.RespondMsg(&nats.Msg{Header: nats.Header{"Status": {"404"}, "Description": {"Message Not Found"}}})
		},
		"it hangs": func(*nats.Msg) {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Reads of any replica come to this one.
			r := newRigOn(t, configured(t, `mappings {
				"$JS.API.DIRECT.GET.SYNC": replica
				"$JS.API.DIRECT.GET.KV_AC.$KV.AC.*": "replica.of.$1"
			}`))
			r.must(r.bus.Ensure(t.Context(), seldom))
			asked := make(chan struct{}, 1000)
			for _, subject := range []string{"replica", "replica.of.*"} {
				_, err := r.nc.Subscribe(subject, func(msg *nats.Msg) {
					asked <- struct{}{}
					answer(msg)
				})
				r.must(err)
			}
			r.must(r.nc.Flush())
			published := r.publish(r.vitals(42), r.items(42), r.vitals(42))
			r.must(r.bus.Mirror().Put(t.Context(), 42, game.Contexts{Version: 7}))

			tail, err := r.bus.Tail(t.Context(), 42)
			r.must(err)
			if got, want := len(tail.Events), len(published); got != want {
				t.Errorf("a tail of %d events, want %d", got, want)
			}
			last, settled, err := r.bus.Settled(t.Context())
			r.must(err)
			if last != 3 || settled != 0 {
				t.Errorf("%d of %d events are settled, want none of 3", settled, last)
			}
			var history []events.Version
			r.must(r.bus.History(t.Context(), []events.CharID{42}, func(e events.Stored) { history = append(history, e.Version) }))
			if len(history) != len(published) || !slices.IsSorted(history) {
				t.Errorf("history %v, want %d events", history, len(published))
			}
			shown, err := r.bus.Mirror().Get(t.Context(), 42)
			r.must(err)
			if shown.Version != 7 {
				t.Errorf("the mirror shows version %d, want 7", shown.Version)
			}
			if len(asked) == 0 {
				t.Error("the replica was not asked")
			}
		})
	}
}
