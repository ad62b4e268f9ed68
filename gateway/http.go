package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/fasthttp/router"
	"github.com/go-faster/jx"
	"github.com/valyala/fasthttp"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/strictjson"
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

// A call is one request, taken apart.
type call struct {
	request *fasthttp.RequestCtx
	char    events.CharID
	body    []byte // valid until the request is answered; what is decoded is a copy
	opts    Options
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

func newCall(r *fasthttp.RequestCtx) (*call, error) {
	c := &call{request: r}
	if id, ok := r.UserValue("char_id").(string); ok {
		var err error
		if c.char, err = events.ParseCharID(id); err != nil {
			return nil, badParameter("char_id", err)
		}
	}
	if c.body = r.PostBody(); len(c.body) > events.MaxBytes {
		return nil, &events.FieldError{Err: events.ErrTooLarge}
	}
	return c, c.readOptions()
}

// syntaxFirst says of a body that is no JSON that it is none, whatever was wrong before
// its fault was met.
func (c *call) syntaxFirst(err error) error {
	if _, ok := errors.AsType[*events.FieldError](err); ok && len(c.body) > 0 && !json.Valid(c.body) && !errors.Is(err, events.ErrSyntax) {
		return &events.FieldError{Err: events.ErrSyntax}
	}
	return err
}

// path returns a parameter of the path, a copy.
func (c *call) path(name string) string {
	value, _ := c.request.UserValue(name).(string)
	return strings.Clone(value)
}

// query returns a parameter of the query, the first one of the name, or "".
func (c *call) query(name string) string { return string(c.request.QueryArgs().Peek(name)) }

// header returns a header of the request, the first one of the name, or "".
func (c *call) header(name string) string { return string(c.request.Request.Header.Peek(name)) }

var (
	errDurability = errors.New("must be hot, stream or cold")
	errBool       = errors.New("must be true or false")
	errLimit      = errors.New("must be an integer from 1 to 500")
	errBefore     = errors.New("must be a version or an RFC 3339 time")
	errFrom       = errors.New("must be hot or cold")
)

func (c *call) readOptions() error {
	c.opts.Durability = Durability(c.query("durability"))
	if c.opts.Durability == "" {
		c.opts.Durability = DurabilityStream
	}
	if !c.opts.Durability.Valid() {
		return badParameter("durability", errDurability)
	}
	c.opts.Trace = c.header("traceparent")
	if key := c.header("Idempotency-Key"); key != "" {
		id, err := strictjson.ParseUUID(key)
		if err != nil {
			return badParameter("Idempotency-Key", err)
		}
		c.opts.Key = id.String()
		force := ""
		if on, _ := c.flag("force"); on { // who does not know what it is, is told later
			force = "true"
		}
		c.opts.Fingerprint = fingerprint(string(c.request.Method()), string(c.request.Path()), force, string(c.body))
	}
	return nil
}

// fingerprint tells requests apart; what a caller waits for is not part of it.
func fingerprint(parts ...string) string {
	hash := sha256.New()
	for _, part := range parts {
		hash.Write([]byte(part))
		hash.Write([]byte{0})
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

func (c *call) limit() (int32, error) {
	text := c.query("limit")
	if text == "" {
		return defaultFights, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 1 || n > maxFights {
		return 0, badParameter("limit", errLimit)
	}
	return int32(n), nil
}

// before is the version below which the history is read: given as a version or
// as a time.
func (c *call) before() (events.Version, error) {
	text := c.query("before")
	if text == "" {
		return math.MaxInt64, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 {
		return events.Version(n), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return events.Version(t.UnixMicro()), nil
	}
	return 0, badParameter("before", errBefore)
}

func (c *call) flag(name string) (bool, error) {
	text := c.query(name)
	if text == "" {
		return false, nil
	}
	value, err := strconv.ParseBool(text)
	if err != nil {
		return false, badParameter(name, errBool)
	}
	return value, nil
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
