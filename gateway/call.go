package gateway

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/valyala/fasthttp"

	"github.com/savepoint-games/savepoint/events"
	"github.com/savepoint-games/savepoint/internal/strictjson"
)

// A call is one request, taken apart.
type call struct {
	request *fasthttp.RequestCtx
	char    events.CharID
	body    []byte // valid until the request is answered; what is decoded is a copy
	opts    Options
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

// syntaxFirst reports a body that is not JSON as such, even where the decoder met another
// fault first.
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
)

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

func (c *call) readOptions() error {
	c.opts.Durability = Durability(c.query("durability"))
	if c.opts.Durability == "" {
		c.opts.Durability = DurabilityStream
	}
	if !c.opts.Durability.Valid() {
		return badParameter("durability", errDurability)
	}
	c.opts.Trace = c.header("traceparent")
	if c.request.IsGet() { // a read may be repeated without a key
		return nil
	}
	if keys := c.request.Request.Header.PeekAll("Idempotency-Key"); len(keys) > 0 {
		if len(keys) > 1 {
			return badParameter("Idempotency-Key", events.ErrRepeated)
		}
		// An empty key is refused: its caller meant to send one.
		id, err := strictjson.ParseUUID(string(keys[0]))
		if err != nil {
			return badParameter("Idempotency-Key", err)
		}
		c.opts.Key = id.String()
		force := ""
		if on, _ := c.flag("force"); on { // the handler refuses any other value
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
