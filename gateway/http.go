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

	const character = "/v1/characters/{char_id}"
	r.PUT(character+"/vitals", s.route(s.putVitals))
	r.POST(character+"/inventory", s.route(s.postInventory))
	r.POST(character+"/contexts/{context}", s.route(s.postContext))
	r.PATCH(character+"/contexts/{context}", s.route(s.patchContext))
	r.POST(character+"/contexts/{context}/finish", s.route(s.finishContext))
	r.POST(character+"/sync/{scope}", s.route(s.postSync))
	r.POST("/v1/transfers", s.route(s.postTransfer))
	for path, handle := range map[string]handler{
		character:              s.getCharacter,
		character + "/saved":   s.getSaved,
		character + "/combats": s.getCombats,
	} {
		r.GET(path, s.route(handle))
		r.HEAD(path, s.route(handle))
	}
	return r.Handler
}

// A handler answers with a status and a body, or with an error.
type handler func(context.Context, *call) (status int, body any, err error)

func (s *Service) route(handle handler) fasthttp.RequestHandler {
	return func(r *fasthttp.RequestCtx) {
		c, err := newCall(r)
		if err != nil {
			s.problem(r, err)
			return
		}
		// A caller that hangs up ends nothing: every step has its own deadline.
		status, body, err := handle(context.Background(), c)
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
