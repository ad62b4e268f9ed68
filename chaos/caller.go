package chaos

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// A Caller sends requests as a patient client does: it repeats one, with its
// idempotency key and on changing gateways, until it is answered for good.
// A Caller is for one goroutine.
type Caller struct {
	// Random is seeded with the run's seed.
	Random *rand.Rand

	http     *http.Client
	gateways []string
	counts   *counts
	speed    *speedometer
	// began is when the request under way was first sent, in Unix
	// nanoseconds; 0 for none. unsure is set while an attempt of it got no
	// answer, so that nobody knows whether it was carried out.
	began  atomic.Int64
	unsure atomic.Bool
}

// A Reply is an answer that is no error of the server.
type Reply struct {
	Status   int
	Body     []byte
	Sent     time.Time // the first attempt
	Answered time.Time
	Path     string // below /v1/
	Key      string // the idempotency key
	Attempts int
	Gateway  int // which one answered, from 1
}

// ErrUnanswered is returned where an action got no answer in some minutes.
var ErrUnanswered = errors.New("no answer")

const (
	attemptTimeout = 3 * time.Second
	// coldAttempt is for those that wait for PostgreSQL: longer than the
	// gateway waits.
	coldAttempt = 8 * time.Second
	attempts    = 400 // with their pauses, some minutes: longer than any fault
	retryPause  = 100 * time.Millisecond
)

// Do sends a request about a character: path follows /v1/characters/<id>/. The
// error wraps ErrUnanswered.
func (c *Caller) Do(char int64, method, path, body string) (*Reply, error) {
	return c.send(method, fmt.Sprintf("characters/%d/%s", char, path), body)
}

// Trade asks for a transfer; body is as docs/architecture.md says. What makes a
// repeat known is the transfer's id. query is empty or, for example,
// "?durability=cold". The error wraps ErrUnanswered.
func (c *Caller) Trade(query, body string) (*Reply, error) {
	return c.send(http.MethodPost, "transfers"+query, body)
}

func (c *Caller) send(method, path, body string) (*Reply, error) {
	r := &Reply{Path: path, Key: uuid.NewString(), Sent: time.Now()}
	c.began.Store(r.Sent.UnixNano())
	defer func() {
		c.began.Store(0)
		c.unsure.Store(false)
	}()
	for range attempts {
		if r.Attempts > 0 {
			c.counts.repeated.Add(1)
			time.Sleep(retryPause)
		}
		r.Attempts++
		if err := c.attempt(r, method, body); err != nil {
			c.unsure.Store(true)
			continue
		}
		if r.Status < 500 {
			return r, nil
		}
	}
	return nil, fmt.Errorf("%s %s %s: %w", method, path, body, ErrUnanswered)
}

func (c *Caller) attempt(r *Reply, method, body string) error {
	limit := attemptTimeout
	if strings.Contains(r.Path, "durability=cold") {
		limit = coldAttempt
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	r.Gateway = 1 + c.Random.IntN(len(c.gateways))
	url := "http://" + c.gateways[r.Gateway-1] + "/v1/" + r.Path
	request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	request.Header.Set("Idempotency-Key", r.Key)
	sent := time.Now()
	r.Status, r.Body, err = c.exchange(request)
	r.Answered = time.Now()
	// Who waits for PostgreSQL does not wait for the gateway.
	if limit == attemptTimeout {
		c.speed.note(sent, r.Answered, err != nil || r.Status >= 500)
	}
	return err
}

func (c *Caller) exchange(request *http.Request) (int, []byte, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}
