package gateway

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-faster/jx"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// Handler is the HTTP interface of the service. Errors are problem documents
// (RFC 9457).
func (s *Service) Handler() http.Handler {
	known, mux := http.NewServeMux(), http.NewServeMux()
	for pattern, handle := range map[string]handler{
		"PUT /v1/characters/{char_id}/vitals":                     s.putVitals,
		"POST /v1/characters/{char_id}/inventory":                 s.postInventory,
		"POST /v1/characters/{char_id}/contexts/{context}":        s.postContext,
		"PATCH /v1/characters/{char_id}/contexts/{context}":       s.patchContext,
		"POST /v1/characters/{char_id}/contexts/{context}/finish": s.finishContext,
		"POST /v1/characters/{char_id}/sync/{scope}":              s.postSync,
		"POST /v1/transfers":                                      s.postTransfer,
		"GET /v1/characters/{char_id}":                            s.getCharacter,
		"GET /v1/characters/{char_id}/saved":                      s.getSaved,
		"GET /v1/characters/{char_id}/combats":                    s.getCombats,
	} {
		known.Handle(pattern, s.route(handle))
		mux.Handle(pattern, s.route(handle))
	}
	mux.Handle("/", unknown(known))
	return mux
}

// A call is one request, taken apart.
type call struct {
	*http.Request
	char events.CharID
	body []byte
	opts Options
}

// A handler answers with a status and a body, or with an error.
type handler func(context.Context, *call) (status int, body any, err error)

func (s *Service) route(handle handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := newCall(w, r)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		status, body, err := handle(r.Context(), c)
		if err != nil {
			s.problem(w, r, err)
			return
		}
		if answer, ok := body.(interface{ replayed() bool }); ok && answer.replayed() {
			w.Header().Set("Idempotency-Replayed", "true")
		}
		reply(w, status, body)
	})
}

// pathChar is the character that the path names; 0 for a path that has none.
func pathChar(r *http.Request) (events.CharID, error) {
	if !strings.Contains(r.Pattern, "{char_id}") {
		return 0, nil
	}
	return events.ParseCharID(r.PathValue("char_id"))
}

func newCall(w http.ResponseWriter, r *http.Request) (*call, error) {
	char, err := pathChar(r)
	if err != nil {
		return nil, badParameter("char_id", err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, events.MaxBytes))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, &events.FieldError{Err: events.ErrTooLarge}
	}
	if err != nil {
		return nil, badParameter("body", err)
	}
	c := &call{Request: r, char: char, body: body}
	return c, c.readOptions()
}

var (
	errDurability = errors.New("must be hot, stream or cold")
	errBool       = errors.New("must be true or false")
	errLimit      = errors.New("must be an integer from 1 to 500")
	errBefore     = errors.New("must be a version or an RFC 3339 time")
	errFrom       = errors.New("must be hot or cold")
)

func (c *call) readOptions() error {
	var query url.Values
	if c.URL.RawQuery != "" {
		query = c.URL.Query()
	}
	c.opts.Durability = Durability(query.Get("durability"))
	if c.opts.Durability == "" {
		c.opts.Durability = DurabilityStream
	}
	if !c.opts.Durability.Valid() {
		return badParameter("durability", errDurability)
	}
	c.opts.Trace = c.Header.Get("traceparent")
	if key := c.Header.Get("Idempotency-Key"); key != "" {
		id, err := strictjson.ParseUUID(key)
		if err != nil {
			return badParameter("Idempotency-Key", err)
		}
		c.opts.Key = id.String()
		c.opts.Fingerprint = fingerprint(c.Method, c.URL.Path, query.Get("force"), string(c.body))
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
	text := c.URL.Query().Get("limit")
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
	text := c.URL.Query().Get("before")
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
	text := c.URL.Query().Get(name)
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

func reply(w http.ResponseWriter, status int, body any) {
	text, err := bodyText(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header()["Content-Type"] = contentJSON
	w.WriteHeader(status)
	_, _ = w.Write(text) // an error means that the caller is gone
}

var contentJSON = []string{"application/json"}

func bodyText(body any) ([]byte, error) {
	if body, ok := body.(written); ok {
		var e jx.Encoder
		e.SetBytes(make([]byte, 0, 256))
		body.write(&e)
		return append(e.Bytes(), '\n'), nil
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false) // free-form data goes back as it came
	err := enc.Encode(body)
	return out.Bytes(), err
}
