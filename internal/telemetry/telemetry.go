// Package telemetry tells a collector of OpenTelemetry what becomes of an action, in one
// trace from the request to the commit in PostgreSQL. It stands around the parts that do
// the work (gateway.Hot, savers.Source and their like), which know nothing of it; without
// a collector they stand there alone.
package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/savepoint-games/savepoint/internal/secret"
)

// Traces makes spans. A nil Traces makes none, and changes nothing that it is given.
type Traces struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// closeTimeout bounds how long a program that ends waits for its last spans to be taken.
const closeTimeout = 2 * time.Second

// Start returns the traces of a program, which it tells the collector at an address
// (OTLP over HTTP, as http://127.0.0.1:4318); nil without an address. What is not taken
// is dropped: nothing waits for a collector. Which share of the requests is traced
// (OTEL_TRACES_SAMPLER, OTEL_TRACES_SAMPLER_ARG) and what else is to be known of the
// program (OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_EXPORTER_OTLP_HEADERS) is
// read from the environment, as OpenTelemetry specifies.
func Start(ctx context.Context, program, collector string, log *slog.Logger) (*Traces, error) {
	if collector == "" {
		return nil, nil
	}
	address := strings.TrimRight(collector, "/") + "/v1/traces"
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		return nil, fmt.Errorf("the collector of traces is %q: give a URL, as http://127.0.0.1:4318", secret.URLs(collector))
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address))
	if err != nil {
		return nil, fmt.Errorf("collector of traces: %w", secret.Err(err))
	}
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", program)), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("traces", "err", err) }))
	return newTraces(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), nil
}

func newTraces(options ...sdktrace.TracerProviderOption) *Traces {
	provider := sdktrace.NewTracerProvider(options...)
	return &Traces{provider: provider, tracer: provider.Tracer("github.com/savepoint-games/savepoint")}
}

// Close tells what is not told yet, for at most 2 s.
func (t *Traces) Close(ctx context.Context) {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	_ = t.provider.Shutdown(ctx) // the error handler has been told
}

// header is where a trace context is in a request, and in an event.
const header = "traceparent"

// parent returns ctx with the span that a W3C trace context names, if it names one.
func parent(ctx context.Context, traceparent string) context.Context {
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{header: traceparent})
}

// child returns the W3C trace context that names the span of ctx.
func child(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[header]
}

// step makes a span of f, if it is part of a trace.
func (t *Traces) step(ctx context.Context, name string, f func(context.Context) error) error {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return f(ctx)
	}
	ctx, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient))
	err := f(ctx)
	end(span, err)
	return err
}

func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}
