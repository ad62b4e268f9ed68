package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/savepoint-games/savepoint/bus"
	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
	"github.com/savepoint-games/savepoint/intake"
	"github.com/savepoint-games/savepoint/internal/stack/stacktest"
)

func TestMain(m *testing.M) { os.Exit(stacktest.Main(m)) }

const (
	caller   = "00f067aa0ba902b7"
	traced   = "00-4bf92f3577b34da6a3ce929d0e0e4736-" + caller + "-01"
	untraced = "00-0af7651916cd43dd8448eb211c80319c-" + caller + "-00"
)

// Each way to settle a traced message ends its span once and says what became of the
// event, also of a message that is held for long.
func TestSpanOfASaveEndsAsItsEventDoes(t *testing.T) {
	t.Parallel()
	settle := map[string]struct {
		by   func(jetstream.Msg) error
		code codes.Code
		says string
	}{
		"saved":            {jetstream.Msg.Ack, codes.Unset, ""},
		"given back":       {jetstream.Msg.Nak, codes.Error, errBack.Error()},
		"given back later": {func(m jetstream.Msg) error { return m.NakWithDelay(time.Hour) }, codes.Error, errBack.Error()},
		"gone":             {jetstream.Msg.Term, codes.Error, errOver.Error()},
		"dead letter":      {func(m jetstream.Msg) error { return m.TermWithReason("dead letter") }, codes.Error, errOver.Error() + ": dead letter"},
	}
	hold := map[string]func(jetstream.Msg) jetstream.Msg{
		"":          func(m jetstream.Msg) jetstream.Msg { return m },
		"detached ": func(m jetstream.Msg) jetstream.Msg { return m.(delivery).Detached() },
	}
	for held, hold := range hold {
		for ended, settle := range settle {
			t.Run(held+ended, func(t *testing.T) {
				t.Parallel()
				spans := new(tracetest.InMemoryExporter)
				msg := fetch(t, newTraces(sdktrace.WithSyncer(spans)), traced)[0]
				msg = hold(msg)
				if n := len(spans.GetSpans()); n > 0 {
					t.Fatalf("%d spans before the message is settled", n)
				}
				if err := settle.by(msg); err != nil {
					t.Fatal(err)
				}
				_ = msg.Nak() // a message is settled once
				all := spans.GetSpans()
				if len(all) != 1 {
					t.Fatalf("%d spans", len(all))
				}
				got := all[0]
				if got.Name != "save vitals" || got.Parent.SpanID().String() != caller || got.Status.Code != settle.code || got.Status.Description != settle.says {
					t.Errorf("%+v", got)
				}
			})
		}
	}
}

// What is not traced is handed out as it came.
func TestMessageWithoutATraceHasNoSpan(t *testing.T) {
	t.Parallel()
	spans := new(tracetest.InMemoryExporter)
	for _, msg := range fetch(t, newTraces(sdktrace.WithSyncer(spans)), "", untraced, "nonsense") {
		if _, ok := msg.(*message); ok {
			t.Errorf("%v", msg.Headers())
		}
		if err := msg.Ack(); err != nil {
			t.Error(err)
		}
	}
	if n := len(spans.GetSpans()); n > 0 {
		t.Errorf("%d spans", n)
	}
}

// fetch publishes events under these trace contexts and fetches them as a saver does.
func fetch(t *testing.T, traces *Traces, under ...string) []jetstream.Msg {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	stream, err := bus.Connect(stacktest.NATS(t).URL(), t.Name(), log)
	must(err)
	in := intake.New(stream, log)
	t.Cleanup(func() {
		in.Close(context.Background())
		stream.Close(context.Background())
	})
	must(stream.Ensure(ctx, bus.Topology{CleanupEvery: time.Hour}))
	for i, trace := range under {
		e := events.New(events.CharID(i+1), events.Version(time.Now().UnixMicro()), events.CauseAction, uuid.Nil, events.ScopeVitals,
			events.Vitals{HP: 1, Location: events.Location{Zone: "harbor"}})
		wait, err := stream.Send(game.Origin{Trace: trace}, e)
		must(err)
		must(wait(ctx))
	}
	from, err := in.Source(ctx, events.ScopeVitals)
	must(err)
	source := traces.Source(from, events.ScopeVitals)
	var msgs []jetstream.Msg
	for len(msgs) < len(under) {
		some, err := source.Fetch(ctx, len(under))
		must(err)
		msgs = append(msgs, some...)
	}
	return msgs
}

// Without a collector nothing stands between a program's parts.
func TestWithoutACollectorNothingIsTraced(t *testing.T) {
	t.Parallel()
	none, err := Start(t.Context(), "savepoint-test", "", nil)
	if none != nil || err != nil {
		t.Fatal(none, err)
	}
	of := new(intake.Source)
	if got := none.Source(of, events.ScopeVitals); got != of {
		t.Errorf("%T", got)
	}
	b := new(bus.Bus)
	if got := none.Gateway(gateway.Config{Stream: b}); got.Stream != b || got.Span != nil {
		t.Errorf("%T", got.Stream)
	}
	none.Close(t.Context())
}

// A collector that is written wrongly is named, without its password; one that does not
// answer keeps nobody.
func TestCollectorIsNamedByItsURL(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	for _, wrong := range []string{"127.0.0.1:4318", "grpc://me:secret@127.0.0.1:4317"} {
		if _, err := Start(t.Context(), "savepoint-test", wrong, log); err == nil || !strings.Contains(err.Error(), "as http://") || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
	traces, err := Start(t.Context(), "savepoint-test", "http://127.0.0.1:9", log)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = traces.step(t.Context(), "nothing", func(context.Context) error { return nil })
	traces.Close(t.Context())
	if took := time.Since(began); took > 10*closeTimeout {
		t.Errorf("%v", took)
	}
}
