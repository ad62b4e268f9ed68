package telemetry

import (
	"context"

	"github.com/google/uuid"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/game"
	"github.com/savepoint-games/savepoint/gateway"
)

// Gateway has the requests of a gateway, and what they ask of the servers, be spans.
func (t *Traces) Gateway(c gateway.Config) gateway.Config {
	if t == nil {
		return c
	}
	c.Hot, c.Stream, c.Mirror, c.Cold = &hot{c.Hot, t}, &stream{c.Stream, t}, &mirror{c.Mirror, t}, &cold{c.Cold, t}
	c.Span = t.request
	return c
}

// request makes a span of a request, a child of the one that its header names. From then
// on the header names this span: so do the events that the request leads to.
func (t *Traces) request(r *fasthttp.RequestCtx, route string) (context.Context, func()) {
	ctx := parent(context.Background(), string(r.Request.Header.Peek(header)))
	ctx, span := t.tracer.Start(ctx, string(r.Method())+" "+route, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
		attribute.String("http.request.method", string(r.Method())), attribute.String("http.route", route), attribute.String("url.path", string(r.Path())),
	))
	r.Request.Header.Set(header, child(ctx))
	return ctx, func() {
		status := r.Response.StatusCode()
		span.SetAttributes(attribute.Int("http.response.status_code", status))
		if status >= fasthttp.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

type hot struct {
	gateway.Hot
	t *Traces
}

func (h *hot) Load(ctx context.Context, char events.CharID, want game.Want) (l *game.Loaded, err error) {
	err = h.t.step(ctx, "redis load", func(ctx context.Context) error {
		l, err = h.Hot.Load(ctx, char, want)
		return err
	})
	return l, err
}

func (h *hot) Commit(ctx context.Context, c *game.Change, r game.Request) error {
	return h.t.step(ctx, "redis commit", func(ctx context.Context) error { return h.Hot.Commit(ctx, c, r) })
}

func (h *hot) CommitBlind(ctx context.Context, c *game.Change, r game.Request) error {
	return h.t.step(ctx, "redis commit, unverified", func(ctx context.Context) error { return h.Hot.CommitBlind(ctx, c, r) })
}

func (h *hot) CommitJoin(ctx context.Context, loaded, joined *game.State, with game.Joining) error {
	return h.t.step(ctx, "redis commit, joined", func(ctx context.Context) error { return h.Hot.CommitJoin(ctx, loaded, joined, with) })
}

type stream struct {
	gateway.Stream
	t *Traces
}

// Send makes a span of the wait: what comes before it takes no time.
func (s *stream) Send(origin game.Origin, batch ...events.StateChanged) (func(context.Context) error, error) {
	wait, err := s.Stream.Send(origin, batch...)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return s.t.step(ctx, "nats publish", wait) }, nil
}

func (s *stream) Tails(ctx context.Context) (func(context.Context, events.CharID) (game.Tail, error), error) {
	of, err := s.Stream.Tails(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, char events.CharID) (tail game.Tail, err error) {
		err = s.t.step(ctx, "nats tail", func(ctx context.Context) error {
			tail, err = of(ctx, char)
			return err
		})
		return tail, err
	}, nil
}

type mirror struct {
	gateway.Mirror
	t *Traces
}

func (m *mirror) Put(ctx context.Context, char events.CharID, contexts game.Contexts) error {
	return m.t.step(ctx, "nats mirror", func(ctx context.Context) error { return m.Mirror.Put(ctx, char, contexts) })
}

func (m *mirror) PutFirst(ctx context.Context, char events.CharID, contexts game.Contexts) error {
	return m.t.step(ctx, "nats mirror", func(ctx context.Context) error { return m.Mirror.PutFirst(ctx, char, contexts) })
}

type cold struct {
	gateway.Cold
	t *Traces
}

func (c *cold) Load(ctx context.Context, char events.CharID) (state *game.State, err error) {
	err = c.t.step(ctx, "postgresql load", func(ctx context.Context) error {
		state, err = c.Cold.Load(ctx, char)
		return err
	})
	return state, err
}

func (c *cold) SavedFights(ctx context.Context, sessions []uuid.UUID) (saved map[uuid.UUID]events.Version, err error) {
	err = c.t.step(ctx, "postgresql fights", func(ctx context.Context) error {
		saved, err = c.Cold.SavedFights(ctx, sessions)
		return err
	})
	return saved, err
}

func (c *cold) Transfer(ctx context.Context, id uuid.UUID) (trade events.Transfer, ok bool, err error) {
	err = c.t.step(ctx, "postgresql trade", func(ctx context.Context) error {
		trade, ok, err = c.Cold.Transfer(ctx, id)
		return err
	})
	return trade, ok, err
}
