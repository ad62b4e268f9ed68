package gateway

import (
	"context"
	"encoding/json"
	"io"

	"github.com/fasthttp/router"
	"github.com/go-faster/jx"
	"github.com/valyala/fasthttp"
)

// Handler is the HTTP interface of the service. Errors are problem documents
// (RFC 9457).
func (s *Service) Handler() fasthttp.RequestHandler {
	r := router.New()
	r.RedirectTrailingSlash, r.RedirectFixedPath = false, false
	r.GlobalOPTIONS = func(r *fasthttp.RequestCtx) { r.SetStatusCode(fasthttp.StatusNoContent) } // beside Allow
	r.PanicHandler = s.panicked
	r.NotFound = unknown(fasthttp.StatusNotFound)
	r.MethodNotAllowed = unknown(fasthttp.StatusMethodNotAllowed)

	on := func(method, path string, handle handler) { r.Handle(method, path, s.route(path, handle)) }
	const character = "/v1/characters/{char_id}"
	on(fasthttp.MethodPut, character+"/vitals", s.putVitals)
	on(fasthttp.MethodPost, character+"/inventory", s.postInventory)
	on(fasthttp.MethodPost, character+"/contexts/{context}", s.postContext)
	on(fasthttp.MethodPatch, character+"/contexts/{context}", s.patchContext)
	on(fasthttp.MethodPost, character+"/contexts/{context}/finish", s.finishContext)
	on(fasthttp.MethodPost, character+"/sync/{scope}", s.postSync)
	on(fasthttp.MethodPost, "/v1/transfers", s.postTransfer)
	for path, handle := range map[string]handler{
		character:              s.getCharacter,
		character + "/saved":   s.getSaved,
		character + "/combats": s.getCombats,
	} {
		on(fasthttp.MethodGet, path, handle)
		on(fasthttp.MethodHead, path, handle)
	}
	return r.Handler
}

// A handler answers with a status and a body, or with an error.
type handler func(context.Context, *call) (status int, body any, err error)

func (s *Service) route(path string, handle handler) fasthttp.RequestHandler {
	return func(r *fasthttp.RequestCtx) {
		// A caller that hangs up ends nothing: every step has its own deadline.
		ctx := context.Background()
		if s.Span != nil {
			var end func()
			ctx, end = s.Span(r, path)
			defer end()
		}
		c, err := newCall(r)
		if err != nil {
			s.problem(r, err)
			return
		}
		status, body, err := handle(ctx, c)
		if err != nil {
			s.problem(r, c.syntaxFirst(err))
			return
		}
		if answer, ok := body.(interface{ replayed() bool }); ok && answer.replayed() {
			r.Response.Header.Set("Idempotency-Replayed", "true")
		}
		reply(r, status, body)
	}
}

// A written body writes itself, much faster than encoding/json writes it.
type written interface{ write(e *jx.Encoder) }

func reply(r *fasthttp.RequestCtx, status int, body any) {
	r.SetStatusCode(status)
	r.SetContentType("application/json")
	if err := writeBody(r.Response.BodyWriter(), body); err != nil {
		r.Response.ResetBody()
		writeProblem(r, plainProblem(fasthttp.StatusInternalServerError, err))
	}
}

// writeBody writes the text of a body, which is whole or an error.
func writeBody(to io.Writer, body any) error {
	if body, ok := body.(written); ok {
		e := jx.GetEncoder()
		defer jx.PutEncoder(e)
		body.write(e)
		_, err := to.Write(append(e.Bytes(), '\n'))
		return err
	}
	enc := json.NewEncoder(to)
	enc.SetEscapeHTML(false) // free-form data goes back as it came
	return enc.Encode(body)
}
