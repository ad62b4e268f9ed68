package telemetry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/savers"
)

// Source has the save of each event whose request is traced be a span: from when a saver
// has got the event until it has settled it, which is after the commit.
func (t *Traces) Source(of savers.Source, scope events.Scope) savers.Source {
	if t == nil {
		return of
	}
	return &source{of, t, "save " + string(scope)}
}

type source struct {
	savers.Source
	t    *Traces
	name string
}

func (s *source) Fetch(ctx context.Context, limit int) ([]jetstream.Msg, error) {
	msgs, err := s.Source.Fetch(ctx, limit)
	for i := range msgs {
		msgs[i] = s.traced(msgs[i])
	}
	return msgs, err
}

// traced returns msg as it is, unless its request is traced.
func (s *source) traced(msg jetstream.Msg) jetstream.Msg {
	named, traced := msg.Headers()[header]
	d, ok := msg.(delivery)
	if !traced || !ok {
		return msg
	}
	ctx := parent(context.Background(), named[0])
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return msg
	}
	_, span := s.t.tracer.Start(ctx, s.name, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
		attribute.String("messaging.system", "nats"), attribute.String("messaging.destination.name", msg.Subject()),
	))
	if meta, err := msg.Metadata(); err == nil {
		//nolint:gosec // a sequence is not that large
		span.SetAttributes(attribute.Int64("savepoint.sequence", int64(meta.Sequence.Stream)))
		span.AddEvent("stored", trace.WithTimestamp(meta.Timestamp))
	}
	return &message{d, span}
}

// A delivery is what a saver gets from an intake.Source.
type delivery interface {
	jetstream.Msg
	StoredSince() time.Time
	Release() bool
	Released() bool
	Detached() jetstream.Msg
}

// message ends a span when it is settled.
type message struct {
	delivery
	span trace.Span
}

// Detached implements savers.detacher.
func (m *message) Detached() jetstream.Msg {
	if d, ok := m.delivery.Detached().(delivery); ok {
		return &message{d, m.span}
	}
	return m
}

var (
	errBack = errors.New("given back: it comes again")
	errOver = errors.New("not saved: it does not come again")
)

// Ack says that the event is saved.
func (m *message) Ack() error {
	m.span.End()
	return m.delivery.Ack()
}

// Nak gives the event back.
func (m *message) Nak() error {
	end(m.span, errBack)
	return m.delivery.Nak()
}

// NakWithDelay gives the event back for later.
func (m *message) NakWithDelay(delay time.Duration) error {
	end(m.span, errBack)
	return m.delivery.NakWithDelay(delay)
}

// Term says that the event is not saved.
func (m *message) Term() error {
	end(m.span, errOver)
	return m.delivery.Term()
}

// TermWithReason says why the event is not saved, mostly that it is a dead letter.
func (m *message) TermWithReason(reason string) error {
	end(m.span, fmt.Errorf("%w: %s", errOver, reason))
	return m.delivery.TermWithReason(reason)
}
