package bus_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

// What a join asks the stream: ten events of one character among a thousand.
func BenchmarkTail(b *testing.B) {
	const characters, each = 100, 10
	stream, err := bus.Connect(stacktest.NATS(b).URL(), b.Name(), quiet)
	if err != nil {
		b.Fatal(err)
	}
	defer stream.Close(b.Context())
	stacktest.Eventually(b, "the streams", func() bool {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		return stream.Ensure(ctx, seldom) == nil
	})
	version := events.Version(time.Now().Add(-time.Hour).UnixMicro())
	for range each {
		var batch []events.StateChanged
		for char := range characters {
			version++
			batch = append(batch, events.New(events.CharID(char+1), version, events.CauseAction, uuid.Nil, events.ScopeVitals,
				events.Vitals{HP: 80, Location: events.Location{Zone: "harbor"}}))
		}
		if err := stream.Publish(b.Context(), batch...); err != nil {
			b.Fatal(err)
		}
	}
	for i := 0; b.Loop(); i++ {
		tail, err := stream.Tail(b.Context(), events.CharID(i%characters+1))
		if err != nil || len(tail.Events) != each {
			b.Fatalf("a tail of %d events (%v), want %d", len(tail.Events), err, each)
		}
	}
}
